/* pin.pml - one mutator, all its ways to hold an object, against a mover of up to BATCHES batches. The mutator has a
   3-slot pin stack (pins in any order, unpin out of order, a handler that pins in between), scopes, counted locks,
   free, realloc, and fork that makes the mover vanish. Its stores go through a buffer: TSO, or -DPSO, as buffer.inc
   says. The mover's loads are in order (acquire). Flags, what the mutator does: K steps; SCOPE LOCKS HANDLER FORK;
   FREESTORE (store under a pin of one's own) or FREECAS; REALLOC (compare-and-swap) or REALLOCSTORE (release store);
   OBJECTS=2 (two movable objects in one batch, and through one slot of the stack); RELAXABORT (touch_abort orders
   nothing). The mover: BATCHES; ADOPT (takes up marks that it finds, and fences and scans after that).
   Controls: NORELSLOT NORELTOP NOFENCE NOSCAN NOABORT NOSCOPEWAIT COUNTFIRST UPSCAN TRUST SLOTFIRST PLAINPUBLISH.
   SEEN='condition': the end is asserted not to be reached with it, to show that it is. The configurations that are run
   stand in `run`.
   Not modelled: mutator loads out of order; a store seen by one thread before another (both memory models are
   multi-copy atomic); objects larger than one location, so no torn copies; several mutators (race.pml, attach.pml);
   scopes that nest; stale handles (race.pml); more than one fork, and fork in the midst of publishing one object (fork
   waits for that phase).
   Locations: 0 top, 1..3 slots, 4 scope word, then a lock count for each place, a word for each object, contents of
   each place. Word: place | M | F (free). Handle h is object h-1; with one object, handle 2 only fills slots. */
#ifndef K
#define K 6
#endif
#ifndef BATCHES
#define BATCHES 1
#endif
#ifndef OBJECTS
#define OBJECTS 1
#endif
#define PLACES (OBJECTS+1)
#define BUF 6
#define NT 1
#define Mb 4
#define Fb 8
#define LT 0
#define LS 1
#define LC 4
#define LN 5
#define LW (LN+PLACES)
#define LV (LW+OBJECTS)
#define NLOC (LV+PLACES)
#define NONE 7
bool owned[PLACES]; bool done[1]; bool mdone=false;
#include "buffer.inc"
bool freed=false; bool gone=false; bool forked=false;
byte ghost[OBJECTS];                 /* what the object holds, as the program sees it */
byte dest=NONE;                      /* the mover's unpublished copy: what fork_forget gives back */
#ifdef SEEN
byte moved=0; byte aborted=0; byte dropped=0; byte found=0;
#define note(x) x++
#else
#define note(x) skip
#endif
#ifdef NORELSLOT
#define RS 0
#else
#define RS 1
#endif
#ifdef NORELTOP
#define RT 0
#else
#define RT 1
#endif
#define LIMIT 3

inline readword(ob){  /* fills w and a. [model: pin_read] compiler fence before it; [model: scope_read] */
   rd(0,LW+ob,w);
   do
   :: (w & Mb) ->
#ifdef NOABORT
      w = w & ~Mb
#else
      atomic{ if :: mem[LW+ob]==w -> abortdrain(0); w=w&~Mb; mem[LW+ob]=w; note(aborted)   /* [model: touch_abort] */
                 :: else -> w=mem[LW+ob] fi }
#endif
   :: else -> break
   od;
   atomic{ assert(!(w&Fb)); a = w&3; w=0 }
}
inline check(ob){ d_step{ jj=n[0]; x=mem[LV+a];
   do :: jj>0 -> jj--; if :: bl[jj]==LV+a -> x=bv[jj]; break :: else fi :: else -> break od; jj=0;
   assert(x==ghost[ob]); assert(owned[a]==1); x=0 } }
inline write(ob){ atomic{ n[0]<BUF -> ghost[ob]++; put(0,LV+a,ghost[ob],0) } }

/* A signal handler between two steps: pins above what it interrupts, uses, unpins; once a run. Handle 1, or one that
   fills a slot. */
inline handler(top){
#ifdef HANDLER
   if
   :: (hk==0 && (top)<3) -> atomic{ hk=1; hh=a; put(0,LT,(top)+1,0) };
      if
      :: put(0,LS+(top),1,RS); readword(0); check(0); write(0)
      :: put(0,LS+(top),2,RS)
      fi;
      put(0,LT,top,RT); atomic{ a=hh; hh=0 }
   :: skip
   fi
#else
   skip
#endif
}
/* Up to the word's reading; leaves t as it was. */
inline pinsteps(hd){
#ifdef SLOTFIRST
   put(0,LS+t,hd,RS); handler(t); put(0,LT,t+1,0);
#else
   put(0,LT,t+1,0);                         /* [model: pin_top] top before slot (signal fence) */
   handler(t+1);
   put(0,LS+t,hd,RS);                       /* [model: pin_slot] release */
   handler(t+1);
#endif
   if :: hd<=OBJECTS -> readword(hd-1) :: else fi
}

proctype mut(){
 byte w; byte a=0; byte x; byte t=0; byte k=0; byte h=0; byte o=0; byte st[3]; byte pins[OBJECTS]; byte pa[OBJECTS];
 bool sc=false; bool touched=false; byte sseq=0; byte hk=0; byte hh=0;
 byte lk=0;                                 /* handle that is locked */
 do
 :: atomic{ k<K && (OBJECTS==2 || !freed) -> k++;
#if OBJECTS == 2
      if :: !freed -> h=1 :: h=2 fi
#else
      h=1
#endif
    };
   if
   :: t<LIMIT -> /* pin */
      pinsteps(h); atomic{ assert(pins[h-1]==0 || pa[h-1]==a); pa[h-1]=a; pins[h-1]++; st[t]=h; t++ }; check(h-1)
#if OBJECTS == 1
   :: t<LIMIT -> pinsteps(2); atomic{ st[t]=2; t++ }
#endif
   :: pins[h-1]>0 -> a=pa[h-1]; write(h-1)
   :: t>0 ->                                /* unpin the top one; st[t-1]>0 */
      /* [model: unpin_top] release */
      atomic{ n[0]<BUF -> t--; if :: st[t]<=OBJECTS -> pins[st[t]-1]-- :: else fi; st[t]=0; put(0,LT,t,RT) }
   :: t>1 ->                                /* the one below it */
      atomic{ n[0]<BUF -> t--; if :: st[t-1]<=OBJECTS -> pins[st[t-1]-1]-- :: else fi; st[t-1]=st[t]; st[t]=0;
              put(0,LS+t-1,st[t-1],RS) };   /* [model: unpin_move] release: a handle only ever moves down */
      handler(t+1);
      put(0,LT,t,RT)
   :: t>2 ->                                /* the lowest of three */
      atomic{ n[0]<BUF -> t--; if :: st[0]<=OBJECTS -> pins[st[0]-1]-- :: else fi; st[0]=st[2]; st[2]=0;
         put(0,LS,st[0],RS) };
      put(0,LT,t,RT)
#ifdef SCOPE
   /* [model: scope_enter] release */
   :: !sc -> atomic{ n[0]<BUF -> sseq++; put(0,LC,sseq*2+1,RT); sc=true; touched=false }
   :: sc -> readword(0); atomic{ assert((!touched && pins[0]==0) || pa[0]==a); pa[0]=a; touched=true }; check(0);
      write(0)
   :: (sc && touched) -> a=pa[0]; assert(owned[a]==1); write(0)
   /* [model: scope_exit] release */
   :: sc -> atomic{ n[0]<BUF -> put(0,LC,sseq*2,RT); sc=false; touched=false }
#endif
#ifdef LOCKS
   /* [model: lock_count] relaxed addition */
   :: (t<LIMIT && lk==0) -> pinsteps(h); check(h-1); put(0,LN+a,1,ADD);
      atomic{ n[0]<BUF -> assert(pins[h-1]==0 || pa[h-1]==a); pa[h-1]=a; lk=h; put(0,LT,t,RT) }
   :: lk>0 -> a=pa[lk-1]; assert(owned[a]==1); check(lk-1); write(lk-1)
   /* [model: unlock_count] release addition */
   :: lk>0 -> atomic{ n[0]<BUF -> put(0,LN+pa[lk-1],255,REL|ADD); lk=0 }
#endif
#ifdef FREESTORE
   :: (h==1 && t<LIMIT && pins[0]==0 && !sc && lk!=1) -> pinsteps(1); check(0);
      put(0,LW,Fb,0); put(0,LT,t,RT); freed=true;
      atomic{ drainall(0); assert(owned[a]==1); owned[a]=0 }                  /* the allocator takes it by a release */
#endif
#ifdef FREECAS
   :: (h==1 && pins[0]==0 && !sc && lk!=1) ->
      /* [model: free_cas] */
      atomic{ freed=true; drainall(0); a=mem[LW]&3; mem[LW]=Fb; assert(owned[a]==1); owned[a]=0; h=0 }
#endif
#if defined(REALLOC) || defined(REALLOCSTORE)
   :: (h==1 && t<LIMIT && pins[0]==0 && !sc && lk!=1) -> pinsteps(1); check(0);
      atomic{ o=0; do :: (o<PLACES && owned[o]) -> o++ :: else -> break od; if :: o<PLACES -> owned[o]=1 :: else fi };
      if
      :: o<PLACES -> put(0,LV+o,ghost[0],0);                                   /* [model: realloc_copy] */
#ifdef REALLOCSTORE
         put(0,LW,o,1)
#else
         w=mem[LW];
         /* [model: realloc_publish] release; clears M */
         do
         :: atomic{ mem[LW]==w -> assert((w&3)==a); drainall(0); mem[LW]=o; w=0; break }
         :: atomic{ mem[LW]!=w -> w=mem[LW] }
         od
#endif
      :: else
      fi;
      put(0,LT,t,RT);
      /* the old slot is free */
      atomic{ if :: o<PLACES -> drainall(0); assert(owned[a]==1); owned[a]=0 :: else fi; o=0 }
#endif
#ifdef FORK
   :: !forked -> atomic{ drainall(0); forked=true; gone=true;
      /* [model: fork_forget] copies go, marks stay */
      if :: dest!=NONE -> owned[dest]=0; dest=NONE :: else fi }
#endif
   :: skip
   fi;
   atomic{ a=0; h=0; w=0 }
 :: else -> break
 od;
 done[0]=true
}

/* What the scan says of an object: the mark goes. */
/* [model: scan_unmark] */
inline pinned(ix){ if :: (in[ix] && mem[LW+ix]==(ob[ix]|Mb)) -> mem[LW+ix]=ob[ix] :: else fi; in[ix]=0 }
inline slot(){ if :: (s>0 && s<=OBJECTS) -> pinned(s-1) :: else fi; s=0 }
inline counts(){                            /* after the slots: a pin seen popped implies a count seen raised */
#ifdef LOCKS
   /* [model: scan_count] acquire */
   atomic{ if :: (in[0] && mem[LN+ob[0]]>0) -> pinned(0) :: else fi };
#if OBJECTS == 2
   atomic{ if :: (in[1] && mem[LN+ob[1]]>0) -> pinned(1) :: else fi }
#endif
#else
   skip
#endif
}

proctype mover(){
 byte r=0; byte ob[OBJECTS]; bool in[OBJECTS]; byte T; byte s; byte q; byte i; byte nn;
again:
 {
  do
  :: r<BATCHES ->
   i=0;
   do
   :: i<OBJECTS ->                          /* a compare-and-swap: what is free or already marked is left out */
      atomic{
         if
         /* [model: mover_mark] */
         :: !(mem[LW+i]&(Mb|Fb)) -> ob[i]=mem[LW+i]; mem[LW+i]=ob[i]|Mb; in[i]=1
#if defined(ADOPT) || defined(TRUST)
         :: (mem[LW+i]&Mb) -> ob[i]=mem[LW+i]&3; in[i]=1; note(found); q=1
#endif
         :: else
         fi; i++ }
   :: else -> break
   od;
#ifdef TRUST
   if :: q -> atomic{ q=0; i=0 }; goto copy :: else fi;
#endif
   q=0;
#ifndef NOFENCE
   atomic{ drainall(0) };                   /* [model: mover_fence] membarrier */
#endif
#ifdef COUNTFIRST
   counts();
#endif
#ifndef NOSCAN
   T=mem[LT];                               /* [model: scan_top] acquire */
#ifdef UPSCAN
   i=0; do :: i<T -> s=mem[LS+i]; i++; slot() :: else -> break od;
#else
   /* [model: scan_slot] acquire, downwards */
   i=T; do :: i>0 -> atomic{ i--; s=mem[LS+i]; slot() } :: else -> break od;
#endif
#endif
#ifdef SCOPE
#ifndef NOSCOPEWAIT
   q=mem[LC];                               /* [model: scan_scope] acquire: wait, or drop the batch at the bound */
   if :: (q&1) -> if :: atomic{ mem[LC]!=q -> q=0 } :: atomic{ pinned(0); pinned(OBJECTS-1); q=0;
      note(dropped) } fi :: else -> q=0 fi;
#endif
#endif
#ifndef COUNTFIRST
   counts();
#endif
   atomic{ T=0; s=0; i=0 };
copy:
   do
   :: i<OBJECTS ->
      if
      :: (in[i] && mem[LW+i]==(ob[i]|Mb)) ->                                   /* only what still has M */
         atomic{ nn=0; do :: (nn<PLACES && owned[nn]) -> nn++ :: else -> break od;
            /* [model: mover_copy] */
            if :: nn<PLACES -> owned[nn]=1; dest=nn; mem[LV+nn]=mem[LV+ob[i]] :: else fi };
         atomic{ if
            /* no room: the mark goes */
            :: nn==PLACES -> if :: mem[LW+i]==(ob[i]|Mb) -> mem[LW+i]=ob[i] :: else fi
#ifdef PLAINPUBLISH
            :: nn<PLACES ->
#else
            :: (nn<PLACES && mem[LW+i]==(ob[i]|Mb)) ->
#endif
               /* [model: mover_publish] release */
               mem[LW+i]=nn; assert(owned[ob[i]]==1); owned[ob[i]]=0; note(moved)
            /* [model: mover_drop] */
            :: else -> owned[nn]=0; note(dropped)
            fi; dest=NONE; nn=0 }
      :: else
      fi;
      atomic{ in[i]=0; ob[i]=0; i++ }
   :: else -> break
   od;
   atomic{ i=0; r++ }
  :: else -> break
  od;
 } unless { gone };
 if
 /* a new mover, in the child */
 :: atomic{ gone -> gone=false; r=0; i=0; T=0; s=0; q=0; nn=0; in[0]=0; ob[0]=0; in[OBJECTS-1]=0; ob[OBJECTS-1]=0;
    goto again }
 :: atomic{ (!gone && done[0]) -> mdone=true }
 fi
}
init { byte i=0;
  atomic{ do :: i<OBJECTS -> owned[i]=1; mem[LW+i]=i; i++ :: else -> break od; run mut(); run flusher(0); run mover() };
  (mdone && n[0]==0);
#if OBJECTS == 1
  assert( owned[0]+owned[1] == 1-freed );
#else
  assert( owned[0]+owned[1]+owned[2] == 2-freed );
#endif
#ifdef SEEN
  assert(!(SEEN))
#endif
}
