/* race.pml - two mutators and one word: who wins when frees, allocations, reallocs, pins, marks and publishing meet.
   Each mutator has a pin stack of one slot and a store buffer of its own (buffer.inc: TSO, or -DPSO), and makes K
   steps. One index has up to LIVES generations. Of the two slots the one that the index does not name is spare
   (reserved for a second index, whose word is never live): a move and a realloc take the spare one and leave the old
   one as spare. A program that is right frees once, when nobody pins, and hands a handle on by something that orders
   (so the other thread's buffer is empty at that time). A program that is wrong frees what is freed: at the same time,
   or lives later. Of those frees at most the first may win; that is what is verified, with all that pin.pml asserts.
   Flags: K, BATCHES, LIVES, PSO, RELAXABORT, REALLOC; KEEPM (free and alloc leave M in the word: the generation alone
   must do).
   Controls: PLAINFREE (load, compare, store), NOGEN (the generation stays), NOGEN with KEEPM and ONEFREE (an old batch
   is published over a new life, with no stale free about), FETCHADDR (free takes the address from its first load),
   NOFENCE, NOSCAN. SEEN as in pin.pml.
   Not modelled: what pin.pml and attach.pml have; the two words of the indices that swap (the spare slot's index is
   known by the slot); magazines and the depot (a free slot is handed over with all that its freer did ordered before);
   table pages that are dropped.
   Locations: 0..1 tops, 2..3 slots, 4 the word, 5..6 contents. Word: place | M | live | generation * 8. A slot holds
   life + 1. */
#ifndef K
#define K 3
#endif
#ifndef BATCHES
#define BATCHES 1
#endif
#ifndef LIVES
#define LIVES 2
#endif
#define BUF 4
#define NT 2
#define Mb 2
#define Lb 4
#define LT 0
#define LS 2
#define LW 4
#define LV 5
#define NLOC 7
#ifdef NOGEN
#define G(life) 0
#else
#define G(life) ((life)*8)
#endif
#ifdef KEEPM
#define KEEP Mb
#else
#define KEEP 0
#endif
#define stale(w,life) (((w)&(248|Lb)) != (G(life)|Lb))
bool owned[2]; bool done[2]; bool mdone=false;
#include "buffer.inc"
byte life=0; bool alive=true; byte maker=0; byte npins=0; bool busy=false;    /* what the program knows of the handle */
byte ghost=0; bool valid=false;             /* contents, as mutator 0 last wrote them */
byte won[LIVES]; bool mag=false;            /* frees that won; the index is in a magazine */
byte spare=1; bool have=true;               /* the spare slot, and whether nobody has it */
#ifdef SEEN
byte moved=0; byte aborted=0; byte dropped=0; byte detected=0; byte again=0; byte rewon=0;
#define note(x) x++
#else
#define note(x) skip
#endif
#define known(m) (alive && !busy && (maker==m || n[maker]==0))

inline readword(m,l){                       /* [model: pin_read] */
   rd(m,LW,w);
   do
   :: atomic{ (!stale(w,l) && (w&Mb)) -> rd(m,LW,y);
         if :: y==w -> abortdrain(m); w=w&~Mb; mem[LW]=w; note(aborted)            /* [model: touch_abort] */
            :: else -> w=y fi; y=0 }
   :: else -> break
   od;
   atomic{ assert(!stale(w,l)); a=w&1; w=0 }
}

inline win(){ won[h]++; assert(h==life && won[h]==1); assert(owned[a]==1); owned[a]=0; mag=true }
proctype mut(byte m){
 byte w; byte y; byte a=0; byte pa=0; byte k=0; byte h=0; byte tried=0; bool pinned=false; byte o;
 do
 :: atomic{ k<K -> k++ };
   if
   :: atomic{ (!pinned && known(m)) -> pinned=true; npins++; h=life };
      put(m,LT+m,1,0);                      /* [model: pin_top] */
      put(m,LS+m,h+1,REL);                  /* [model: pin_slot] */
      readword(m,h);
      atomic{ assert(owned[a]==1); h=0; pa=a; a=0;
         if :: (m==0 && valid) -> rd(0,LV+pa,y); assert(y==ghost); y=0 :: else fi }
   :: atomic{ (pinned && n[m]<BUF) -> assert(owned[pa]==1 && (mem[LW]&1)==pa);
         if :: m==0 -> ghost++; valid=true; put(0,LV+pa,ghost,0) :: else fi }
   :: atomic{ (pinned && n[m]<BUF) -> put(m,LT+m,0,REL); pinned=false; npins--; pa=0 }    /* [model: unpin_top] */
   :: /* free: as one may, or while another does, or of a life long gone */
      atomic{
         if
#ifdef ONEFREE
         :: (known(m) && npins==0 && n[1-m]==0) -> alive=false; h=life
#else
         /* else the other's free races with our stores as well */
         :: (known(m) && npins==0 && n[0]+n[1]==0) -> alive=false; h=life
         :: (!alive && !(tried & (1<<life))) -> h=life
         :: (life>0 && !(tried & 1)) -> h=0
#endif
         fi; tried=tried|(1<<h) };
      rd(m,LW,w); a=w&1;
      do
      :: atomic{ stale(w,h) -> note(detected); break }                           /* a double free, and known as such */
#ifdef PLAINFREE
      :: !stale(w,h) -> atomic{ drainall(m); mem[LW]=(w&1)|G(h+1); win() ; break }
#else
      :: atomic{ !stale(w,h) -> rd(m,LW,y);
            /* [model: free_cas] live to not live, next generation */
            if :: y==w -> y=0; drainall(m); mem[LW]=(w&(1|KEEP))|G(h+1);
#ifndef FETCHADDR
                  a=w&1;
#endif
                  win(); break
               :: else -> w=y; y=0; note(again) fi }
#endif
      od;
      atomic{ w=0; h=0; a=0; y=0 }
   :: /* alloc; mutator 0 clears the object first, and a plain store sets live */
      atomic{ (mag && life+1<LIVES && n[m]+1<BUF) -> mag=false; w=mem[LW]; assert(!(w&Lb)); assert(owned[w&1]==0);
         owned[w&1]=1;
         valid=(m==0); if :: m==0 -> ghost++; put(0,LV+(w&1),ghost,0) :: else fi;
         put(m,LW,w|Lb,0);                  /* [model: alloc_live] */
         life++; alive=true; maker=m; w=0 }
#ifdef REALLOC
   :: /* realloc: no other thread pins (the caller's duty) */
      atomic{ (known(m) && npins==0 && n[1-m]==0) -> busy=true; h=life };
      put(m,LT+m,1,0); put(m,LS+m,h+1,REL); readword(m,h);
      if
      :: atomic{ have -> have=false; o=spare; assert(o!=a && owned[o]==0); owned[o]=1 };
         atomic{ n[m]<BUF -> rd(m,LV+a,y); put(m,LV+o,y,0); y=0 };               /* [model: realloc_copy] */
         w=mem[LW];
         do
         /* [model: realloc_publish] */
         :: atomic{ rd(m,LW,y); if :: y==w -> assert(!stale(w,h) && (w&1)==a); drainall(m); mem[LW]=G(h)|Lb|o; y=0;
            w=0; break
                                   :: else -> w=y; y=0 fi }
         od;
         put(m,LT+m,0,REL);
         /* the two slots have swapped indices */
         atomic{ drainall(m); assert(owned[a]==1); owned[a]=0; spare=a; have=true; note(rewon) }
      :: atomic{ !have -> skip }; put(m,LT+m,0,REL)
      fi;
      atomic{ busy=false; maker=m; a=0; h=0; o=0 }
#endif
   :: skip
   fi
 :: else -> break
 od;
 /* the thread ends */
 atomic{ if :: pinned -> drainall(m); mem[LT+m]=0; pinned=false; npins-- :: else fi; done[m]=true; pa=0 }
}

inline scan(m){
   atomic{ T=mem[LT+m] };                   /* [model: scan_top] */
   if
   :: T>0 -> atomic{ s=mem[LS+m]; T=0;      /* [model: scan_slot] */
         /* [model: scan_unmark] */
         if :: (s>0 && mem[LW]==(w|Mb)) -> mem[LW]=w; s=0; w=0; goto next :: else -> s=0 fi }
   :: else
   fi
}
proctype mover(){
 byte w; byte r=0; byte T; byte s; byte nn;
 do
 :: r<BATCHES ->
   /* [model: mover_mark] */
   atomic{ if :: (mem[LW]&(Lb|Mb))==Lb -> w=mem[LW]; mem[LW]=w|Mb :: else -> goto next fi };
#ifndef NOFENCE
   /* [model: mover_fence] */
   atomic{ drainall(0) }; atomic{ drainall(1) };
#endif
#ifndef NOSCAN
   scan(0); scan(1);
#endif
   /* [model: mover_copy] */
   atomic{ if :: (have && mem[LW]==(w|Mb)) -> have=false; nn=spare; assert(owned[nn]==0); owned[nn]=1;
      mem[LV+nn]=mem[LV+(w&1)]
              :: else -> if :: mem[LW]==(w|Mb) -> mem[LW]=w :: else fi; w=0; goto next fi };
   /* [model: mover_publish] */
   atomic{ if :: mem[LW]==(w|Mb) -> mem[LW]=(w&~1)|nn; assert(owned[w&1]==1); owned[w&1]=0; spare=w&1; note(moved)
              /* [model: mover_drop] */
              :: else -> owned[nn]=0; spare=nn; note(dropped) fi;
           have=true; nn=0; w=0 };
next: atomic{ r++; w=0 }
 :: else -> break
 od;
 mdone=true
}
init { byte i;
  atomic{ owned[0]=1; mem[LW]=Lb; run mut(0); run mut(1); run flusher(0); run flusher(1); run mover() };
  (done[0] && done[1] && mdone && n[0]+n[1]==0);
  assert(have && owned[spare]==0 && spare!=(mem[LW]&1));
  assert(owned[mem[LW]&1]==alive && mag==!alive);
  i=0; do :: i<LIVES -> assert(won[i] == (i<life || (i==life && !alive))); i++ :: else -> break od;
#ifdef SEEN
  assert(!(SEEN))
#endif
}
