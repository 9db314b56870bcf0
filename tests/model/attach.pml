/* attach.pml - no membarrier when nobody else is there. Thread 0 compacts in steps and uses the heap between them (a
   batch stays pending); thread 1 attaches late, pins, writes, unpins, detaches, and may attach again. Thread 1's stores
   go through a buffer (buffer.inc: TSO, or -DPSO); its count into `registered` is a relaxed addition, which only the
   fence behind it completes, and its leave is a release.
   Thread 0's own accesses are in its program's order; the one that matters, mark before the look at `registered`, is
   the fence's work.
   Flags: K (steps of thread 1), K0 (steps of thread 0), PSO, RELAXABORT. Controls: NOATTACHFENCE, NOMOVERFENCE (the
   look overtakes the mark), NOMEMBARRIER, NOABORT, NOSCAN, NORELLEAVE. SEEN as in pin.pml.
   Not modelled: thread 1 compacting; several threads that attach; the list of records (a record that is counted is in
   the list).
   Locations: 0 registered, 1 top, 2 slot, 3 the word, 4..5 contents. Word: place | M. */
#ifndef K
#define K 6
#endif
#ifndef K0
#define K0 9
#endif
#define BUF 6
#define NT 1
#define Mb 4
#define LR 0
#define LT 1
#define LS 2
#define LW 3
#define LV 4
#define NLOC 6
bool owned[2]; bool done[1]; bool mdone=false;
#include "buffer.inc"
byte ghost=0;
#ifdef SEEN
byte moved=0; byte aborted=0; byte alones=0; byte fences=0; byte joined=0;
#define note(x) x++
#else
#define note(x) skip
#endif
#ifdef NORELLEAVE
#define RL ADD
#else
#define RL (REL|ADD)
#endif

proctype late(){
 byte w; byte x; byte a=0; byte k=0; bool in=false; bool pinned=false;
 do
 :: atomic{ k<K -> k++ };
   if
   :: !in -> put(0,LR,1,ADD);               /* [model: attach_count] */
#ifndef NOATTACHFENCE
      /* [model: attach_fence] before the first pin, and before the first look at any word */
      atomic{ drainall(0) };
#endif
      in=true
   :: (in && !pinned) -> put(0,LT,1,0);     /* [model: pin_top] */
      put(0,LS,1,REL);                      /* [model: pin_slot] */
      rd(0,LW,w);                           /* [model: pin_read] */
      do
#ifdef NOABORT
      :: (w&Mb) -> w=w&~Mb
#else
      /* [model: touch_abort] */
      :: atomic{ (w&Mb) -> if :: mem[LW]==w -> abortdrain(0); w=w&~Mb; mem[LW]=w; note(aborted)
         :: else -> w=mem[LW] fi }
#endif
      :: else -> break
      od;
      atomic{ a=w&1; w=0; pinned=true; rd(0,LV+a,x); assert(owned[a]==1 && x==ghost); x=0 }
   :: pinned -> atomic{ n[0]<BUF -> assert(owned[a]==1 && (mem[LW]&1)==a); rd(0,LV+a,x); assert(x==ghost); x=0;
      ghost++; put(0,LV+a,ghost,0) }
   :: pinned -> atomic{ n[0]<BUF -> put(0,LT,0,REL); pinned=false; a=0 }         /* [model: unpin_top] */
   :: (in && !pinned) -> put(0,LR,255,RL); in=false                             /* leaves: release */
   :: skip
   fi
 :: else -> break
 od;
 done[0]=true
}

proctype first(){
 byte k=0; byte ph=0; byte w=0; bool pinned=false; bool alone; byte T; byte nn=0; byte pa;
 do
 :: atomic{ k<K0 -> k++ };
   if
   :: /* uses the object: pinned before a batch, or while one is pending */
      !pinned -> atomic{ pinned=true; if :: (mem[LW]&Mb) -> mem[LW]=mem[LW]&~Mb; note(aborted) :: else fi;
         pa=mem[LW]&1; assert(owned[pa]==1) }
   :: pinned -> atomic{ assert(owned[pa]==1 && (mem[LW]&1)==pa); pinned=false; pa=0 }
   :: ph==0 ->
#ifdef NOMOVERFENCE
      alone=(mem[LR]==1);
#endif
      atomic{ if :: !(mem[LW]&Mb) -> w=mem[LW]; mem[LW]=w|Mb :: else fi };        /* [model: mover_mark] */
      /* the full fence is here */                                              /* [model: mover_fence] */
#ifndef NOMOVERFENCE
      alone=(mem[LR]==1);                                                        /* [model: mover_alone] acquire */
#endif
      if
      :: alone -> note(alones)
      :: else -> note(fences);
#ifndef NOMEMBARRIER
         atomic{ drainall(0) };
#endif
#ifndef NOSCAN
         T=mem[LT];                                                              /* [model: scan_top] */
         /* [model: scan_slot] [model: scan_unmark] */
         if :: T>0 -> atomic{ if :: (mem[LS]==1 && mem[LW]==(w|Mb)) -> mem[LW]=w :: else fi; T=0 } :: else fi
#else
         skip
#endif
      fi;
      /* its own record is always scanned */
      atomic{ alone=false; if :: (pinned && mem[LW]==(w|Mb)) -> mem[LW]=w :: else fi; ph=1 }
   /* [model: mover_copy] */
   :: ph==1 -> atomic{ if :: mem[LW]==(w|Mb) -> nn=1-(w&1); assert(owned[nn]==0); owned[nn]=1; mem[LV+nn]=mem[LV+w];
      ph=2
                          :: else -> ph=0; w=0 fi }
   /* [model: mover_publish] */
   :: ph==2 -> atomic{ if :: mem[LW]==(w|Mb) -> mem[LW]=nn; assert(owned[w]==1); owned[w]=0; note(moved)
                          /* [model: mover_drop] */
                          :: else -> owned[nn]=0 fi; ph=0; w=0; nn=0 }
   fi
 :: else -> break
 od;
 if :: ph==2 -> owned[nn]=0 :: else fi;
 mdone=true
}
init { atomic{ owned[0]=1; mem[LR]=1; run first(); run late(); run flusher(0) };
  (done[0] && mdone && n[0]==0);
  assert(owned[0]+owned[1]==1);
#ifdef SEEN
  assert(!(SEEN))
#endif
}
