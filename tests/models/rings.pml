// SPDX-License-Identifier: Apache-2.0
// The config and telemetry rings (runtime/config_ring.hpp, telemetry_ring.hpp,
// completion_reader.hpp; policy `block`) between one host thread and the workers of block scope
// (device/resident_block.cuh), who claim tickets.
//
// Safety: no config or completion lost, doubled, torn or under a wrong ticket; no slot written
// before its last message was taken or collected. Progress: all configs are taken and collected.
//
// A store is on its way until `wire` lands it, and stores to different places land in any order:
// more than the host's store buffer, the bus and the relaxed loads and stores of a warp can do.
// A message is two granules, stored, landed and loaded separately.
// What fails under which PLANT_ macro stands in meson.build.

#ifndef TICKETS
#define TICKETS 5
#endif
#ifndef CONFIG_SLOTS
#define CONFIG_SLOTS 2
#endif
#define TELEMETRY_SLOTS 2
#define WORKERS 2

// Laps are counted mod 4 from 3, so that they wrap as the 32-bit ones do.
#define CONFIG_SLOT(t) ((t) % CONFIG_SLOTS)
#define CONFIG_LAP(t) (((t) / CONFIG_SLOTS + 3) % 4)
#define TELEMETRY_SLOT(t) ((t) % TELEMETRY_SLOTS)
#define TELEMETRY_LAP(t) (((t) / TELEMETRY_SLOTS + 3) % 4)
#define LAP_BEFORE(lap) (((lap) + 3) % 4)

// Places in shared memory. A slot's two granules lie side by side.
#define CONFIG(t) (2 * CONFIG_SLOT(t))
#define TELEMETRY(t) (2 * CONFIG_SLOTS + 2 * TELEMETRY_SLOT(t))
#define TAKEN(t) (2 * CONFIG_SLOTS + 2 * TELEMETRY_SLOTS + CONFIG_SLOT(t))
#define PLACES (3 * CONFIG_SLOTS + 2 * TELEMETRY_SLOTS)

byte lap[PLACES] = 2;  // ring.prepare: the lap before the first
byte payload[PLACES];  // its ticket + 1
bool flying[PLACES];   // a store is on its way there
byte new_lap[PLACES];
byte new_payload[PLACES];

byte next_claim;                 // PortState::next_claim
byte taken_count;                // Progress::taken
byte finished_count;             // Progress::finished
byte seen[TELEMETRY_SLOTS] = 2;  // TelemetryRing::seen; only the host uses it under this policy

bool was_read[TICKETS];  // for the assertions alone
bool was_collected[TICKETS];
byte collected;

ltl progress { <> (collected == TICKETS) }

inline store(place, its_lap, its_payload) {
  atomic {
    !flying[place];
    flying[place] = true;
    new_lap[place] = its_lap;
    new_payload[place] = its_payload;
  }
}

inline land(place) {
  lap[place] = new_lap[place];
  payload[place] = new_payload[place];
  flying[place] = false;
  new_lap[place] = 0;
  new_payload[place] = 0;
}

active proctype wire() {
  byte place;
end:
  do
  :: flying[0] -> d_step { land(0) }
  :: flying[1] -> d_step { land(1) }
  :: flying[2] -> d_step { land(2) }
  :: flying[3] -> d_step { land(3) }
  :: flying[4] -> d_step { land(4) }
  :: flying[5] -> d_step { land(5) }
  :: flying[6] -> d_step { land(6) }
#if CONFIG_SLOTS == 2
  :: flying[7] -> d_step { land(7) }
  :: flying[8] -> d_step { land(8) }
  :: flying[9] -> d_step { land(9) }
#endif
  od
}

#ifdef PLANT_FIRST_LAP_ONLY
#define IS_LAP(place, expected) true
#else
#define IS_LAP(place, expected) (lap[place] == (expected))
#endif

// --- the host ----------------------------------------------------------------------------------

#define IS_TAKEN(t) (lap[TAKEN(t)] == LAP_BEFORE(CONFIG_LAP(t)))
#ifdef PLANT_ROOM_NOT_ASKED
#define HAS_ROOM true
#else
#define HAS_ROOM (next < free_until || IS_TAKEN(free_until))
#endif
#ifdef PLANT_SLOT_NOT_ASKED
#define SLOT_IS_FREE true
#else
#define SLOT_IS_FREE (seen[TELEMETRY_SLOT(next)] == LAP_BEFORE(TELEMETRY_LAP(next)))
#endif

#define IS_COLLECTED(t) ((seen[TELEMETRY_SLOT(t)] + 4 - TELEMETRY_LAP(t)) % 4 < 2)
#define IS_FRESH(t) (lap[TELEMETRY(t)] != seen[TELEMETRY_SLOT(t)])

// CompletionReader::read_slot.
inline read_slot(ticket) {
  found = lap[TELEMETRY(ticket)];
#ifdef PLANT_SEEN_BEFORE_READ
  seen[TELEMETRY_SLOT(ticket)] = found;
#endif
  atomic {
    if
    :: IS_LAP(TELEMETRY(ticket) + 1, found) ->
       assert(found == TELEMETRY_LAP(ticket));
       assert(payload[TELEMETRY(ticket)] == ticket + 1);
       assert(payload[TELEMETRY(ticket) + 1] == ticket + 1);  // torn
       assert(!was_collected[ticket]);                        // doubled
       was_collected[ticket] = true;
       seen[TELEMETRY_SLOT(ticket)] = found;
       collected++
    :: else  // again, later
    fi;
    found = 0
  }
}

// RingExecutor::try_submit and try_collect, in any order. Polls that find nothing change nothing,
// so here they wait.
active proctype host() {
  byte next;                       // ConfigProducer
  byte free_until = CONFIG_SLOTS;
  byte head;                       // CompletionReader
  byte found;
  do
  :: atomic {  // find_room
       next < TICKETS && SLOT_IS_FREE && HAS_ROOM ->
       do
       :: free_until < next + CONFIG_SLOTS && IS_TAKEN(free_until) -> free_until++
       :: else -> break
       od;
       assert(next < CONFIG_SLOTS || was_read[next - CONFIG_SLOTS])  // overwritten
     }
     store(CONFIG(next), CONFIG_LAP(next), next + 1);  // push
     store(CONFIG(next) + 1, CONFIG_LAP(next), next + 1);
     next++
  // try_read: the oldest open slot, or another.
  :: atomic { head < next && IS_COLLECTED(head) -> head++ }
  :: head < next && !IS_COLLECTED(head) && IS_FRESH(head) -> read_slot(head)
  :: head + 1 < next && head + 1 < collected + WORKERS && !IS_COLLECTED(head) &&
     IS_FRESH(head + 1) -> read_slot(head + 1)
  :: collected == TICKETS -> break
  od
}

// --- the workers -------------------------------------------------------------------------------

// Whether the worker may look for its config: wait_for_turn. What the host says of the configs to
// come (`Feed`) lets it look earlier; no word of it may be needed.
#ifdef PLANT_NO_TURN_IF_PASSED
#define IS_MY_TURN(t) (taken_count == t && finished_count == t)
#else
#define IS_MY_TURN(t) (taken_count > t || (taken_count == t && finished_count == t))
#endif

// read_message, whose lanes load in any order.
inline read_message(ticket) {
  do
  :: lap[CONFIG(ticket) + first] == CONFIG_LAP(ticket) ->
     payload_0 = payload[CONFIG(ticket) + first];
     if
     :: IS_LAP(CONFIG(ticket) + 1 - first, CONFIG_LAP(ticket)) ->
        atomic {
          assert(payload_0 == ticket + 1);
          assert(payload[CONFIG(ticket) + 1 - first] == ticket + 1);  // torn
          payload_0 = 0;
          break
        }
     :: else -> payload_0 = 0  // again
     fi
  od
}

// resident_block_kernel.
active [WORKERS] proctype worker() {
  byte ticket;
  bit first;  // the granule that is loaded first
  byte payload_0;
  bool is_fed;
  do
#ifdef PLANT_TORN_CLAIM
  :: next_claim < TICKETS -> ticket = next_claim; next_claim = ticket + 1;
#else
  :: atomic { next_claim < TICKETS -> ticket = next_claim; next_claim++ }
#endif
     if
     :: is_fed = true
     :: is_fed = false
     fi;
     (is_fed || IS_MY_TURN(ticket));
     if
     :: first = 0
     :: first = 1
     fi;
#ifdef PLANT_MARKED_BEFORE_READ
     store(TAKEN(ticket), CONFIG_LAP(ticket), 0);
#endif
     read_message(ticket);
     atomic { assert(!was_read[ticket]); was_read[ticket] = true }  // doubled
     taken_count++;
#ifndef PLANT_MARKED_BEFORE_READ
     store(TAKEN(ticket), CONFIG_LAP(ticket), 0);
#endif
     // publish_completion; the slot's last completion has been collected.
     assert(ticket < TELEMETRY_SLOTS || was_collected[ticket - TELEMETRY_SLOTS]);
     store(TELEMETRY(ticket), TELEMETRY_LAP(ticket), ticket + 1);
     store(TELEMETRY(ticket) + 1, TELEMETRY_LAP(ticket), ticket + 1);
     atomic { finished_count++; ticket = 0; first = 0; is_fed = false }
  :: next_claim >= TICKETS -> break
  od
}
