// SPDX-License-Identifier: Apache-2.0
// Parking, reviving and stopping the resident kernel of block scope: Service (device/service.cuh),
// the workers' claims that outlive a launch (device/resident_block.cuh), RingExecutor
// (host/ring_executor.hpp), GpuResidency (host/gpu_residency.cuh). One worker stands for grid
// scope too, whose feeder alone takes configs, in order.
//
// Safety: never two kernels at once nor more than one waiting, no config lost or doubled over a
// park, no kernel after `stop` has returned. Progress: every config is taken and collected and the
// stop ends, so no wake-up is missed.
//
// The host's stores wait in a store buffer (TSO). Before its last look the kernel waits until all
// that was stored before it announced the park has landed: the bound of 50 us. With the bound, a
// host whose polls do not look at the announcement is served. POLLS: they look. UNBOUNDED: nothing
// is known of the store buffer, YIELDS: the kernel leaves with configs waiting; both need POLLS.
// PARKS_BY_HAND: the host asks for a park, ENDS: another thread aborts at any moment.
// A config is one store here; rings.pml has messages that arrive in pieces.
// What fails under which PLANT_ macro stands in meson.build.

#ifndef TICKETS
#define TICKETS 3  // of each host
#endif
#ifndef HOSTS
#define HOSTS 1  // each with a port of its own
#endif
#ifndef WORKERS
#define WORKERS 2  // worker w serves port w % HOSTS
#endif
#ifdef PLANT_SECOND_STREAM
#define KERNELS 2
#define STREAM_IS_FREE true
#else
#define KERNELS 1  // they run one after the other, in the same processes
#define STREAM_IS_FREE (resident == 0)
#endif
#define SLOTS 2
#define NO_TICKET 255
#define LAUNCHES 4  // launch numbers wrap

mtype = { go_on, leave, abort, park, yield };  // Command
mtype = { config };

// Mapped memory.
mtype command = go_on;
byte presence_launch;   // ControlBlock::presence: of this launch,
bool presence_parking;  // `parking` or not
byte landed[HOSTS];     // configs that have arrived: the tickets below it
byte completed[HOSTS];  // and completions

// Device memory, which outlives a launch.
mtype order = go_on;  // ResidentState
byte exited;
byte next_claim[HOSTS];  // PortState
byte taken[HOSTS];
byte finished[HOSTS];
byte claims[WORKERS] = NO_TICKET;

// The host's own.
byte queued[HOSTS];
byte collected[HOSTS];
byte launch;      // args_.launch
bool is_locked;   // launching_
bool has_ended;   // Residency
mtype asked = go_on;  // the last command of the host
bool was_parked_by_hand;
byte hosts_done;
bool stopped;     // `stop` has returned

chan stores[HOSTS] = [SLOTS + 2] of { mtype };  // store buffers: `config` or a command
byte stored[HOSTS];
byte drained[HOSTS];

// The stream.
byte waiting = 1;  // launches that have not begun
byte begun;        // number of the next one to begin
byte resident;     // kernels on the GPU
bool go[KERNELS * WORKERS];

bool was_run[HOSTS * TICKETS];  // for the assertion alone

ltl progress { <> stopped }

proctype store_buffer(byte h) {
  mtype what;
end:
  do
  :: atomic {
       stores[h] ? what;
       if
       :: what == config -> landed[h]++
       :: else -> command = what
       fi;
       drained[h]++;
       what = 0
     }
  od
}

// --- the kernel --------------------------------------------------------------------------------

#define IN_SIGHT(h, t) (landed[h] > (t) && landed[h] <= (t) + SLOTS)
#define IS_ENDING (command == leave || command == abort)
#if HOSTS == 1
#define IS_IDLE (taken[0] == finished[0])
#define NOTHING_IN_SIGHT (!IN_SIGHT(0, idle_at_0))
#define NONE_TAKEN (taken[0] == idle_at_0)
#define HAVE_DRAINED (drained[0] >= stored_before_0)
#else
#define IS_IDLE (taken[0] == finished[0] && taken[1] == finished[1])
#define NOTHING_IN_SIGHT (!IN_SIGHT(0, idle_at_0) && !IN_SIGHT(1, idle_at_1))
#define NONE_TAKEN (taken[0] == idle_at_0 && taken[1] == idle_at_1)
#define HAVE_DRAINED (drained[0] >= stored_before_0 && drained[1] >= stored_before_1)
#endif
#if defined(UNBOUNDED) || defined(PLANT_NO_DRAIN_WAIT)
#undef HAVE_DRAINED
#define HAVE_DRAINED true
#endif

// leave_launch: the last block makes ready for the next launch.
inline leave_launch() {
  atomic {
    exited++;
    if
    :: exited == WORKERS + 1 ->
       exited = 0;
       order = go_on;
       assert(IS_IDLE);
       resident--
    :: else
    fi
  }
}

// Service::run and should_park, and the stream that begins a launch. How long the kernel has been
// idle is left open, as is which of its many looks before the last one sees something.
proctype service(byte k) {
  byte mine, w, first, idle_at_0, idle_at_1, stored_before_0, stored_before_1;
  bool is_quiet;
end:
  do
  :: atomic {
       waiting > 0 && STREAM_IS_FREE && !go[k * WORKERS] ->
       assert(resident == 0);  // two kernels at once
       assert(!stopped);
       waiting--;
       resident++;
       mine = begun;
       begun = (begun + 1) % LAUNCHES;
       first = taken[0];
       w = 0;
       do
       :: w < WORKERS -> go[k * WORKERS + w] = true; w++
       :: else -> break
       od;
       w = 0
     }
     atomic { presence_launch = mine; presence_parking = false }
     do
     :: IS_ENDING -> order = command; break
#ifdef YIELDS
     :: taken[0] != first -> presence_parking = true; order = yield; break  // has_done_its_share
#endif
     :: atomic {
          !IS_ENDING && IS_IDLE ->
          idle_at_0 = taken[0];
#if HOSTS == 2
          idle_at_1 = taken[1];
#endif
        }
        atomic {  // announce, full_fence
          presence_launch = mine;
          presence_parking = true;
          stored_before_0 = stored[0];
#if HOSTS == 2
          stored_before_1 = stored[1];
#endif
        }
        is_quiet = true;
#ifndef PLANT_NO_LAST_LOOK
        if
        :: HAVE_DRAINED ->
           if  // still_quiet: two loads in any order
           :: is_quiet = is_quiet && NOTHING_IN_SIGHT; is_quiet = is_quiet && NONE_TAKEN
           :: is_quiet = is_quiet && NONE_TAKEN; is_quiet = is_quiet && NOTHING_IN_SIGHT
           fi
        :: !NOTHING_IN_SIGHT || !NONE_TAKEN -> is_quiet = false
        fi;
#endif
        if
        :: is_quiet -> order = leave; break
        :: else -> atomic { presence_launch = mine; presence_parking = false }  // stay
        fi
     od;
     atomic {
       idle_at_0 = 0;
       idle_at_1 = 0;
       stored_before_0 = 0;
       stored_before_1 = 0;
       mine = 0;
       first = 0;
       is_quiet = false
     };
     leave_launch()
  od
}

// A worker of resident_block_kernel. When the host's word of the configs to come lets it look
// early is left open; it must not depend on it.
#define PORT (w % HOSTS)
#define IS_MY_TURN (taken[PORT] > ticket || (taken[PORT] == ticket && finished[PORT] == ticket))
proctype worker(byte k; byte w) {
  byte ticket = NO_TICKET;
  bool is_fed;
end:
  do
  :: atomic { go[k * WORKERS + w] -> go[k * WORKERS + w] = false; ticket = claims[w] }
#ifdef PLANT_CLAIM_FORGOTTEN
     ticket = NO_TICKET;
#endif
     do
     :: atomic {
          ticket == NO_TICKET ->
          ticket = next_claim[PORT];
          next_claim[PORT]++;
        }
     :: ticket != NO_TICKET ->
#if WORKERS > HOSTS  // a port's only worker is always next
        if
        :: is_fed = true
        :: is_fed = false
        fi;
#endif
        if  // block_scope::take
        :: landed[PORT] > ticket && (is_fed || IS_MY_TURN) ->
           atomic {
             assert(!was_run[PORT * TICKETS + ticket]);  // doubled
             was_run[PORT * TICKETS + ticket] = true;
             taken[PORT]++
           }
           completed[PORT]++;  // the step, publish_completion
           atomic { finished[PORT]++; ticket = NO_TICKET; is_fed = false }
        :: order != go_on -> break  // maybe although the config has just come
        fi
     od;
     atomic { claims[w] = ticket; ticket = NO_TICKET; is_fed = false };
     leave_launch()
  od
}

// --- the host ----------------------------------------------------------------------------------

#ifdef PLANT_ANY_LAUNCH
#define HAS_PARKED presence_parking
#else
#define HAS_PARKED (presence_parking && presence_launch == launch)
#endif

inline lock() {
#ifdef PLANT_NO_LOCK
  skip
#else
  atomic { !is_locked -> is_locked = true }
#endif
}
// A mutex lets no store wait over its end.
inline unlock() {
  atomic { drained[h] == stored[h] -> is_locked = false }
}
inline tell(what) {
  atomic { stores[h] ! what; stored[h]++; asked = what }
}

#ifdef PLANT_STOP_UNLOCKED
#define MAY_TELL true
#else
#define MAY_TELL (!has_ended)
#endif

inline revive() {
  lock();
  if
  :: HAS_PARKED && MAY_TELL ->
     if
     :: asked == park -> tell(go_on)
     :: else
     fi;
     atomic {
       launch = (launch + 1) % LAUNCHES;
       waiting++;
       assert(waiting <= 1)  // launches pile up
     }
  :: else
  fi;
  unlock()
}

// It may give up at any moment.
inline park_by_hand() {
  was_parked_by_hand = true;
  lock();
  if
  :: MAY_TELL -> tell(park)
  :: else
  fi;
  unlock();
  if
  :: HAS_PARKED
  :: lock();
     if
     :: MAY_TELL -> tell(go_on)
     :: else
     fi;
     unlock()
  fi
}

inline push() {
  atomic { stores[h] ! config; stored[h]++; queued[h]++ }
}
inline look() {
  if
  :: presence_parking -> revive()
  :: else
  fi
}

// RingExecutor, and the end of the context. A look that finds nothing changes nothing, so here it
// waits.
proctype host(byte h) {
  do
  :: queued[h] < TICKETS && queued[h] - collected[h] < SLOTS && !has_ended ->  // try_submit
#ifdef PLANT_LOOK_BEFORE_PUSH
     look();
     push()
#else
     push();
     look()
#endif
  :: atomic { collected[h] < completed[h] -> collected[h]++ }  // try_collect
#if defined(POLLS) && !defined(PLANT_NO_POLL)
  :: HAS_PARKED && collected[h] == completed[h] && completed[h] < queued[h] && !has_ended ->
     revive()
#endif
#ifdef PARKS_BY_HAND
  :: !was_parked_by_hand && !has_ended -> park_by_hand()
#endif
  :: collected[h] == TICKETS || has_ended -> break
  od;
#ifndef ENDS
  atomic {
    hosts_done++;
    if
    :: hosts_done == HOSTS -> has_ended = true; tell(leave)  // make_leave
    :: else -> goto done
    fi
  };
  atomic { waiting == 0 && resident == 0 -> stopped = true };
done:
#endif
  skip
}

#ifdef ENDS
// Residency::stop and request_abort, from any thread.
active proctype ender() {
  has_ended = true;
#ifndef PLANT_STOP_UNLOCKED
  lock();
#endif
  command = abort;
#ifndef PLANT_STOP_UNLOCKED
  is_locked = false;
#endif
  atomic { waiting == 0 && resident == 0 -> stopped = true }
}
#endif

init {
  byte i;
  atomic {
    do
    :: i < HOSTS -> run store_buffer(i); run host(i); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < KERNELS -> run service(i); i++
    :: else -> break
    od;
    i = 0;
    do
    :: i < KERNELS * WORKERS -> run worker(i / WORKERS, i % WORKERS); i++
    :: else -> break
    od;
    i = 0
  }
}
