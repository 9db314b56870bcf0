/** mover.hpp - when objects move: compaction by the program, the mover's mode, pauses, and a call after each batch. */
#ifndef TINYMEM_CXX_MOVER_HPP
#define TINYMEM_CXX_MOVER_HPP

#include <atomic>
#include <chrono>

#include <tinymem/cxx/base.hpp>

namespace tinymem {

/** Compact now, as far as pins allow, and give the memory back.
 *  @return  bytes by which committed memory fell; 0 at once inside a scope or a mover_pause.
 *  @thread  any. */
inline std::size_t compact() noexcept { return tm_compact(); }

/** One step of compaction that takes about as long as `budget`, and does at least one small piece of work.
 *  compact_step(std::chrono::milliseconds(1)).
 *  @return  true if another step could gain something now.
 *  @thread  any. */
inline bool compact_step(std::chrono::microseconds budget) noexcept
{
    constexpr auto most = std::numeric_limits<unsigned>::max();
    const auto us = budget.count();
    return tm_compact_step(us <= 0 ? 0 : us >= most ? most : static_cast<unsigned>(us));
}

/** For a thread that is about to wait: gives some of the empty memory that is not needed back to the kernel.
 *  @thread  any. */
inline void idle() noexcept { tm_idle(); }

/** Who moves objects: a thread of the library, calls of compact and compact_step only, nobody. `keep` is for
 *  set_mover: as it is. */
enum class mover_mode : int {
    keep = TM_MOVER_KEEP,
    background = TM_MOVER_BACKGROUND,
    manual = TM_MOVER_MANUAL,
    off = TM_MOVER_OFF
};

/** For set_mover: leave the share or the target as it is. */
inline constexpr int mover_keep = TM_MOVER_KEEP;

/** Set what the mover does from now on.
 *  @param share   of one processor that the library's thread may take, 1 to 100 per cent
 *  @param target  waste that a quiet program is left with, 0 to 1000 per cent of live bytes
 *  @return  false with errno EINVAL: one of the three is out of range, and nothing is changed.
 *  @thread  any. It may wait for a piece of a move. When it returns, no move is under way that the mode forbids. */
[[nodiscard]] inline bool set_mover(mover_mode mode, int share, int target = mover_keep) noexcept
{
    return tm_mover_set(static_cast<int>(mode), share, target);
}

/** The mode alone, which cannot fail. */
inline void set_mover(mover_mode mode) noexcept
{
    (void)tm_mover_set(static_cast<int>(mode), TM_MOVER_KEEP, TM_MOVER_KEEP);
}

/** Nothing moves in the whole process while this lives, in every mode. Pass it to in() as a scope. An address that is
 *  looked up under it holds until the object is freed or resized, or the pause ends. Pauses nest.
 *  @thread  any; may wait for a piece of a move. Its end does not wait. It may end on another thread. */
class [[nodiscard]] mover_pause {
public:
    [[nodiscard]] mover_pause() noexcept { tm_mover_pause(); }
    ~mover_pause() { tm_mover_resume(); }
    mover_pause(const mover_pause &) = delete;
    mover_pause &operator=(const mover_pause &) = delete;
};

/** Counts, bytes and nanoseconds since the last call of an on_batch. */
using batch = tm_batch_t;

namespace detail {

/* The on_batch that the library calls now. */
inline std::atomic<const void *> called_on_batch{nullptr};

} // namespace detail

/** Calls `call(const batch &)` after batches of moves, for as long as it lives:
 *
 *      tinymem::on_batch report([](const tinymem::batch &b) { moved += b.moved_bytes; });
 *
 *  The process has one. A newer one takes the place of an older one, which is then called no more; the end of the newer
 *  one does not bring the older one back. Make and end them on one thread at a time, and not in the callable itself.
 *  @thread  the callable runs on the library's mover thread, and on threads that call compact and compact_step; on one
 *           at a time. It must return soon. When this ends, it no longer runs. An exception in it: std::terminate. */
template <class F>
class [[nodiscard]] on_batch {
    static_assert(std::is_invocable_v<F &, const batch &>, "tinymem: on_batch calls its callable with a const batch &");

public:
    [[nodiscard]] explicit on_batch(F call) noexcept(std::is_nothrow_move_constructible_v<F>) : call_(std::move(call))
    {
        detail::called_on_batch.store(this, std::memory_order_relaxed);
        tm_mover_on_batch(run, this);
    }
    ~on_batch()
    {
        const void *mine = this; /* relaxed: made and ended on one thread at a time */
        if (detail::called_on_batch.compare_exchange_strong(mine, nullptr, std::memory_order_relaxed))
            tm_mover_on_batch(nullptr, nullptr);
    }
    on_batch(const on_batch &) = delete;
    on_batch &operator=(const on_batch &) = delete;

private:
    static void run(const tm_batch_t *b, void *self) noexcept
    {
        static_cast<void>(static_cast<on_batch *>(self)->call_(*b));
    }
    F call_;
};

template <class F>
on_batch(F) -> on_batch<F>;

} // namespace tinymem

#endif
