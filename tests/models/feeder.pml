// SPDX-License-Identifier: Apache-2.0
// The end of grid scope: the feeder (device/resident_grid.cuh: feed; device/staging.cuh), the worker
// blocks, and what the host orders. One process stands for all worker blocks, which part only
// between two barriers.
//
// Whatever the order and whenever it comes, the feeder and the workers leave, a config is run once
// and in order, and none is lost but by an abort.
// What fails under which PLANT_ macro stands in meson.build.

#ifndef TICKETS
#define TICKETS 6
#endif
#define SLOTS 4  // staging_slots; less than 4 would not outlast what runs after an abort
#define MARK 255

mtype = { go_on, leave, abort, yield };  // Command

mtype order = go_on;  // ResidentState
byte arrived;         // configs in the ring: the tickets below it
byte staged[SLOTS];   // what a slot holds: ticket + 1, or the leave mark
byte finished;

active proctype host() {
  do
  :: arrived < TICKETS -> arrived++
  :: break
  od;
  if
  :: order = leave
  :: order = yield
  :: order = abort
  fi;
  if
  :: order != abort -> order = abort  // in the midst of a park or a shutdown
  :: true
  fi
}

// stage_configs: as much as it finds and has room for, by a count of finished steps that may be old.
inline stage() {
  room_end = finished + SLOTS;
  moved = 0;
  do
  :: next < arrived && next < room_end ->
     atomic {
       assert(staged[next % SLOTS] <= finished);  // else it is not yet read
       staged[next % SLOTS] = next + 1
     }
     next++;
     moved = 1
  :: next >= arrived || next >= room_end -> break
  :: moved == 1 -> break  // it looks at a few at a time
  od
}

active proctype feeder() {
  byte next, room_end, moved, seen_finished;
  mtype command;
  do
  :: true ->
     command = order;
     seen_finished = finished;
     if
     :: command != go_on && command != leave -> break
     :: else
     fi;
     stage();
     if
     :: moved == 0 && command == leave && seen_finished == next -> break
     :: else -> // nothing will change before one of these does
        (order != command || finished != seen_finished || moved == 1 ||
         (next < arrived && next < finished + SLOTS) || (order == leave && finished == next))
     fi
  od;
#ifdef PLANT_FEEDER_WAITS_AFTER_ABORT
  (next - finished < SLOTS);
#else
  (next - finished < SLOTS || order == abort);
#endif
  if
  :: next - finished < SLOTS ->
     assert(staged[next % SLOTS] <= finished);
     staged[next % SLOTS] = MARK
  :: else
  fi
}

active proctype workers() {
  byte ticket;
  mtype ordered = go_on;  // block 0 has read it during the step before
  mtype next_order;
  bool is_leaving;
  (staged[0] != 0);
  is_leaving = (staged[0] == MARK);
  do
  :: is_leaving -> break
  :: else ->
     assert(staged[ticket % SLOTS] == ticket + 1);
     if  // warps 0 and 1 go on side by side
     :: next_order = order; finished = ticket + 1
     :: finished = ticket + 1; next_order = order
     fi;
     is_leaving = (ordered == abort);
     ticket++;
     // Also before it leaves.
     (staged[ticket % SLOTS] == ticket + 1 || staged[ticket % SLOTS] == MARK);
     if
     :: staged[ticket % SLOTS] == MARK -> is_leaving = true
     :: else
     fi;
     ordered = next_order
  od;
  assert(finished == ticket);
  assert(order == abort || order == yield || finished == arrived)
}
