/* claim.pml - the mover empties the magazines of handles of a thread that is not inside them. Thread 0 makes its
   magazines, and goes in and out of them, unless they are claimed. Its stores go through a buffer (buffer.inc: TSO, or
   -DPSO). The mover claims, has everybody fence, looks whether the owner is inside, empties the magazines if not, and
   lets go. Its own accesses are in its program's order.
   Flags: K (times that thread 0 goes in), ROUNDS of the mover, PSO. Controls: OWNFIRST (`own` is stored before
   `current`), NOMEMBARRIER, NORELEND (the end is a relaxed store), NOLOOK (the mover does not look at `busy`). SEEN as
   in pin.pml.
   Locations: 0 busy, 1 current (1: own, 0: those that serve nothing), 2 own, 3 how many handles there are. */
#ifndef K
#define K 4
#endif
#ifndef ROUNDS
#define ROUNDS 3
#endif
#define BUF 6
#define NT 1
#define LB 0
#define LC 1
#define LO 2
#define LV 3
#define NLOC 4
bool owned[1]; bool done[1]; bool mdone=false;
#include "buffer.inc"
byte ghost=0;                    /* handles in the magazines */
bool owner_inside=false; bool mover_inside=false;
#ifdef SEEN
byte emptied=0; byte refused=0; byte outside=0; byte early=0;
#define note(x) x++
#else
#define note(x) skip
#endif

proctype owner(){
 byte k=0; byte c; byte x;
#ifdef OWNFIRST
 put(0,LO,1,REL);
 put(0,LC,1,0);
#else
 put(0,LC,1,0);                                   /* [model: make_current] */
 put(0,LO,1,REL);                                 /* [model: make_own] */
#endif
 do
 :: atomic{ k<K -> k++ };
    put(0,LB,1,0);                                /* [model: claim_busy] */
    rd(0,LC,c);                                   /* [model: claim_current] */
    if
    :: c==1 -> atomic{ owner_inside=true; assert(!mover_inside) };
       atomic{ rd(0,LV,x); assert(x==ghost) };
       atomic{ n[0]<BUF -> ghost=x+1; put(0,LV,ghost,0) };
       owner_inside=false
    :: else -> note(outside)
    fi;
    c=0; x=0;
#ifdef NORELEND
    put(0,LB,0,0)
#else
    put(0,LB,0,REL)                               /* [model: claim_end] */
#endif
 :: else -> break
 od;
 done[0]=true
}

proctype mover(){
 byte r=0;
 do
 :: atomic{ r<ROUNDS -> r++ };
    if :: mem[LO]==1 -> mem[LC]=0 :: mem[LO]==0 -> note(early) fi;      /* [model: claim_set] */
#ifndef NOMEMBARRIER
    atomic{ drainall(0) };                        /* [model: claim_fence] */
#endif
    if
    :: atomic{ (mem[LO]==1 && mem[LC]==0) ->
#ifdef NOLOOK
          if :: true ->
#else
          if :: mem[LB]==1 -> note(refused)       /* [model: claim_look] */
             :: mem[LB]==0 ->
#endif
             mover_inside=true fi };
       if
       :: mover_inside -> atomic{ assert(!owner_inside && mem[LV]==ghost) };
          atomic{ assert(mem[LV]==ghost); mem[LV]=0; ghost=0; note(emptied) };
          mover_inside=false
       :: else
       fi
    :: else
    fi;
    if :: mem[LO]==1 -> mem[LC]=1 :: else fi      /* [model: claim_undo] */
 :: else -> break
 od;
 mdone=true
}
init { atomic{ owned[0]=1; run owner(); run mover(); run flusher(0) };
  (done[0] && mdone && n[0]==0);
  assert(mem[LV]==ghost && mem[LB]==0);
#ifdef SEEN
  assert(!(SEEN))
#endif
}
