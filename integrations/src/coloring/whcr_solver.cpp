// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/host_clock.hpp>
#include <aatgs/host/memory.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/matching_hierarchy.hpp>
#include <aatgs/integrations/coloring/verifier.hpp>
#include <aatgs/integrations/coloring/whcr_hypertune.hpp>
#include <aatgs/integrations/coloring/whcr_solver.hpp>
#include <algorithm>
#include <deque>
#include <thread>
#include <utility>

#include "../solver_options.hpp"
#include "whcr_context.hpp"

namespace aatgs::coloring {

namespace {

using Clock = std::chrono::steady_clock;
using SliceObserver = std::function<void(const WhcrSlice&)>;

constexpr auto longest_slice = std::chrono::seconds(60);

std::uint32_t choose_searches(const WhcrOptions& options, ExecutorKind kind) {
  if (options.context.scope == Scope::grid) return 1;
  if (options.searches != 0) return options.searches;
  if (!is_on_host(kind)) return 2 * gpu_multiprocessors(options.context.device);
  const std::uint32_t threads = options.context.cpu_threads;
  return threads != 0 ? threads : std::max(1U, std::thread::hardware_concurrency());
}

void check_problem(const Graph& graph, const WhcrOptions& options) {
  if (options.colors < 1 || options.colors > WhcrProblem::max_colors) {
    throw OptionError("colors = " + std::to_string(options.colors) + ": give 1 to " +
                      std::to_string(WhcrProblem::max_colors));
  }
  if (graph.max_degree() > WhcrProblem::max_degree) {
    throw OptionError("the graph has a vertex of degree " + std::to_string(graph.max_degree()) +
                      ", WHCR handles up to " + std::to_string(WhcrProblem::max_degree));
  }
}

/// Before any of them is made: the size of all tables together must not leave 64 bits.
void check_tables(const Graph& graph, const WhcrOptions& options, std::uint32_t searches) {
  // More than any machine has. The hierarchy's nodes, which are not known yet, may add up to
  // `max_hierarchy_levels` words a vertex.
  constexpr std::size_t most_bytes = std::size_t{1} << 56;
  const WhcrProblem problem{.vertices = graph.vertex_count(), .colors = options.colors};
  if (searches <= most_bytes / problem.table_bytes()) return;
  throw OptionError("searches = " + std::to_string(searches) + " with tables of " +
                    std::to_string(problem.table_bytes()) +
                    " bytes each: no memory holds them, give fewer");
}

/// A buffer of `values` that can be read in pieces of 16 bytes to its end.
template <class T>
Buffer<T> whole_pieces(MemoryKind where, std::span<const T> values, int device) {
  constexpr std::size_t piece = 16 / sizeof(T);
  Buffer<T> buffer(where, (values.size() + piece - 1) / piece * piece, device);
  buffer.upload(values);
  return buffer;
}

/// The memory of a problem, where the executor's steps run.
class Tables {
 public:
  Tables(const Graph& graph, const MatchingHierarchy& hierarchy, MemoryKind where, int device,
         WhcrProblem problem, bool shows)
      : offsets_(whole_pieces(where, graph.offsets(), device)),
        neighbors_(where, graph.neighbors(), device),
        parent_(whole_pieces(where, hierarchy.parent(), device)),
        paired_(whole_pieces(where, hierarchy.paired(), device)),
        problem_(sized(problem, graph, hierarchy)),
        tables_(where, problem_.searches * problem_.table_bytes(), device) {
    if (shows) {
      shown_.emplace(where, std::size_t{problem_.searches} * problem_.vertices, device);
      problem_.shown = shown_->data();
    }
    problem_.offsets = offsets_.data();
    problem_.neighbors = neighbors_.data();
    problem_.parent = parent_.data();
    problem_.paired = paired_.data();
    problem_.tables = tables_.data();
  }

  [[nodiscard]] const WhcrProblem& problem() const { return problem_; }

  void set_coloring(std::uint32_t search, std::span<const Color> colors) {
    tables_.upload(std::as_bytes(colors), problem_.coloring_at(search));
  }
  [[nodiscard]] std::vector<Color> coloring(std::uint32_t search) const {
    std::vector<Color> colors(problem_.vertices);
    tables_.download(std::as_writable_bytes(std::span(colors)), problem_.coloring_at(search));
    return colors;
  }

 private:
  static WhcrProblem sized(WhcrProblem problem, const Graph& graph,
                           const MatchingHierarchy& hierarchy) {
    problem.vertices = graph.vertex_count();
    problem.nodes = hierarchy.node_count();
    return problem;
  }

  Buffer<std::uint32_t> offsets_;
  Buffer<std::uint32_t> neighbors_;
  Buffer<std::uint32_t> parent_;
  Buffer<std::uint8_t> paired_;
  WhcrProblem problem_;
  Buffer<std::byte> tables_;
  std::optional<Buffer<std::uint32_t>> shown_;
};

WhcrSlice slice_of(const Completion<KernelTelemetry>& done) {
  const KernelTelemetry& t = done.telemetry;
  return {.search = static_cast<std::uint32_t>(t.best_replica),
          .conflicts = static_cast<std::uint32_t>(t.conflicts),
          .iterations = static_cast<std::uint64_t>(t.padding[0]),
          .moves = static_cast<std::uint64_t>(t.moves_applied),
          .ticket = done.ticket,
          .duration_ns = done.finished_ns - done.taken_ns};
}

/// One search as the host drives it.
struct Search {
  std::uint32_t slices = 0;      ///< queued so far
  std::uint64_t iterations = 0;  ///< of these
  std::uint32_t conflicts = ~std::uint32_t{0};
};

}  // namespace

struct WhcrSolver::State {
  State(const Graph& g, const WhcrOptions& o, ExecutorKind kind, std::uint32_t search_count)
      : graph(g),
        options(o),
        hierarchy(g, static_cast<std::uint32_t>(std::max(1, o.config.num_levels))),
        searches(search_count),
        slice(o.slice != 0                     ? o.slice
              : o.context.scope == Scope::grid ? 10U
                                               : 100U),
        tables(g, hierarchy, memory_of(kind), o.context.device,
               {.colors = o.colors, .searches = search_count, .seed = o.seed},
               o.hypertune && search_count > 1),
        managed(make_whcr_context(tables.problem(), o.context)),
        context(managed.context()) {}

  [[nodiscard]] std::uint32_t length_of_next(std::uint32_t index) const;
  RuntimeConfig next_config(std::uint32_t index);
  void start(std::span<const Color> initial);
  void drop_leftovers();
  bool try_queue(std::uint32_t index);
  void feed(const WhcrLimits& limits, Clock::time_point begin);
  [[nodiscard]] bool traces_workers() const;
  void trace_workers();
  enum class Patience { none, some };
  std::optional<WhcrContext::Done> next_done(Patience patience);
  /// Throws `TimeoutError` if no slice has ended since then for too long.
  void check_hang(Clock::time_point last_end) const;
  /// All that is done, waited for a while; false: nothing was.
  bool collect(WhcrProgress& progress, const SliceObserver& each_slice);
  void start_tuning();
  void count(const WhcrSlice& ended, WhcrProgress& progress);
  [[nodiscard]] std::uint32_t fewest_conflicts() const;
  WhcrResult finish(WhcrProgress progress, std::span<const Color> initial);

  const Graph& graph;
  WhcrOptions options;
  MatchingHierarchy hierarchy;
  std::vector<Search> searches;
  std::uint32_t slice;
  Tables tables;
  ManagedWhcr managed;                // after what its steps work on: it must end first
  WhcrContext& context;               ///< of `managed`
  std::deque<std::uint32_t> waiting;  ///< searches whose next slice may be queued
  std::vector<std::uint32_t> conflicts;
  bool solved = false;
  std::optional<WhcrHypertune> tuning;
  Clock::time_point traced_at;  ///< when workers' events were read
};

std::uint32_t WhcrSolver::State::length_of_next(std::uint32_t index) const {
  constexpr std::uint64_t longest = 1U << 30;
  return static_cast<std::uint32_t>(
      std::min(longest, std::uint64_t{slice} * (tuning ? tuning->length(index) : 1)));
}

/// The first half of a slice works on the coarse levels, the second on the finest; slices of odd
/// length take turns with the middle one.
RuntimeConfig WhcrSolver::State::next_config(std::uint32_t index) {
  Search& search = searches[index];
  RuntimeConfig config = tuning ? tuning->next_config(index) : options.config;
  const std::uint32_t length = length_of_next(index);
  const bool has_coarse = !tuning || tuning->coarse(index);
  const std::uint32_t coarse = has_coarse ? (length + search.slices % 2) / 2 : 0;
  config.pre_smooth_iterations = static_cast<std::int32_t>(coarse);
  config.post_smooth_iterations = static_cast<std::int32_t>(length - coarse);
  config.iteration = static_cast<std::int32_t>(index);
  config.set(ConfigFlag::warm_start, search.slices > 0);
  return config;
}

void WhcrSolver::State::start_tuning() {
  if (!options.hypertune) return;
  const auto count = static_cast<std::uint32_t>(searches.size());
  tuning.emplace(options.hypertune_options.value_or(whcr_hypertune_options(count, slice)),
                 options.config, count, options.seed, options.hypertune_report);
}

void WhcrSolver::State::start(std::span<const Color> initial) {
  if (verify_coloring(graph, initial, options.colors).out_of_range != 0) {
    throw UseError("the initial coloring uses a color not below k = " +
                   std::to_string(options.colors) + ": give colors from 0 to k - 1");
  }
  drop_leftovers();
  std::fill(searches.begin(), searches.end(), Search{});
  waiting.clear();
  solved = false;
  start_tuning();
  for (std::uint32_t i = 0; i < searches.size(); ++i) {
    tables.set_coloring(
        i, i == 0 ? std::vector<Color>(initial.begin(), initial.end())
                  : random_coloring(graph.vertex_count(), options.colors, options.seed + i));
    waiting.push_back(i);
  }
  // One search on the whole grid runs its slices in order, so the next can lie ready.
  const bool ahead = options.context.scope == Scope::grid;
  if (ahead) waiting.insert(waiting.end(), {0, 0});
}

/// What a run that ended by an exception has left on its way: its steps still write to the tables.
void WhcrSolver::State::drop_leftovers() {
  for (auto last_end = Clock::now(); context.stats().in_flight > 0;) {
    if (next_done(Patience::some)) {
      last_end = Clock::now();
    } else {
      check_hang(last_end);
    }
  }
}

/// The next slice of a search; false: there is no room.
bool WhcrSolver::State::try_queue(std::uint32_t index) {
  const RuntimeConfig config = next_config(index);
  RunTrace* trace = options.trace;
  const std::uint64_t begin = trace != nullptr ? host_now_ns() : 0;
  const QueueResult queued = context.try_queue(config);
  if (!queued) return false;
  if (trace != nullptr) trace->queued(queued.ticket, begin, host_now_ns());
  ++searches[index].slices;
  searches[index].iterations += length_of_next(index);
  if (tuning) tuning->queued(index);
  return true;
}

void WhcrSolver::State::feed(const WhcrLimits& limits, Clock::time_point begin) {
  constexpr unsigned configs_per_look = 16;  // at the clock, which costs half as much as a config
  bool late = false;
  for (unsigned i = 0; !waiting.empty(); ++i) {
    if (i % configs_per_look == 0) {
      // Not a moment when it ends: with the longest time that would lie in the past.
      late = limits.stop.stop_requested() || Clock::now() - begin > limits.time;
    }
    const std::uint32_t index = waiting.front();
    const Search& search = searches[index];
    const bool enough = solved || late || search.iterations >= limits.iterations;
    if (enough && search.slices > 0) {  // the first slice counts the conflicts
      waiting.pop_front();
      continue;
    }
    if (!try_queue(index)) return;
    waiting.pop_front();
  }
}

auto WhcrSolver::State::next_done(Patience patience) -> std::optional<WhcrContext::Done> {
  RunTrace* trace = options.trace;
  const std::uint64_t begin = trace != nullptr ? host_now_ns() : 0;
  auto done =
      patience == Patience::none ? context.poll() : context.wait(std::chrono::milliseconds(50));
  if (done && trace != nullptr) trace->polled(*done, begin, host_now_ns());
  return done;
}

void WhcrSolver::State::check_hang(Clock::time_point last_end) const {
  if (Clock::now() - last_end <= longest_slice) return;
  throw TimeoutError("no slice of " + std::to_string(slice) +
                     " iterations has ended for 60 s: make slices shorter; if they are short, the "
                     "executor hangs; " +
                     context.hang_report());
}

bool WhcrSolver::State::traces_workers() const {
  return options.trace != nullptr && options.context.event_slots != 0;
}

/// Now and then, before there are more events than slots.
void WhcrSolver::State::trace_workers() {
  constexpr auto interval = std::chrono::milliseconds(20);
  const auto now = Clock::now();
  if (now - traced_at < interval) return;
  traced_at = now;
  options.trace->add(context.read_events());
}

bool WhcrSolver::State::collect(WhcrProgress& progress, const SliceObserver& each_slice) {
  auto done = next_done(Patience::some);
  const bool some = done.has_value();
  for (; done; done = next_done(Patience::none)) {
    if (tuning) tuning->observe(done->telemetry);
    const WhcrSlice ended = slice_of(*done);
    count(ended, progress);
    if (each_slice) each_slice(ended);
  }
  if (traces_workers()) trace_workers();
  return some;
}

void WhcrSolver::State::count(const WhcrSlice& ended, WhcrProgress& progress) {
  searches[ended.search].conflicts = ended.conflicts;
  progress.iterations += ended.iterations;
  progress.moves += ended.moves;
  if (ended.conflicts == 0) solved = true;
  waiting.push_back(ended.search);
}

std::uint32_t WhcrSolver::State::fewest_conflicts() const {
  return std::min_element(searches.begin(), searches.end(),
                          [](const auto& a, const auto& b) { return a.conflicts < b.conflicts; })
      ->conflicts;
}

WhcrResult WhcrSolver::State::finish(WhcrProgress progress, std::span<const Color> initial) {
  conflicts.clear();
  for (const Search& search : searches) conflicts.push_back(search.conflicts);
  const auto best = std::min_element(conflicts.begin(), conflicts.end());
  WhcrResult result;
  result.colors = tables.coloring(static_cast<std::uint32_t>(best - conflicts.begin()));
  result.conflicts_before = verify_coloring(graph, initial, options.colors).conflicts;
  const Verification check = verify_coloring(graph, result.colors, options.colors);
  result.conflicts = check.conflicts;
  if (check.out_of_range != 0 || check.conflicts != *best) {
    throw Error("the search reports " + std::to_string(*best) +
                " conflicts, but its coloring has " + check.describe() + ": report this");
  }
  progress.conflicts = *best;
  result.total = progress;
  result.hypertune_actions = tuning ? tuning->actions() : 0;
  result.hypertune_paid = tuning ? tuning->paid() : 0;
  result.stats = context.stats();
  if (traces_workers()) {
    (void)context.park(std::chrono::seconds(1));  // for the event of the kernel's stay
    options.trace->add(context.read_events());
  }
  return result;
}

WhcrSolver::WhcrSolver(const Graph& graph, const WhcrOptions& options) {
  check_problem(graph, options);
  check_solver_options(options.context);
  const auto kind = choose_executor(options.context.executor, options.context.device).kind;
  const std::uint32_t searches = choose_searches(options, kind);
  check_tables(graph, options, searches);
  state_ = std::make_unique<State>(graph, options, kind, searches);
}

WhcrSolver::~WhcrSolver() = default;

WhcrResult WhcrSolver::run(std::span<const Color> initial, const WhcrLimits& limits,
                           const std::function<void(const WhcrProgress&)>& report,
                           const SliceObserver& each_slice) {
  State& s = *state_;
  s.start(initial);
  s.context.reset_stats();
  const auto begin = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  WhcrProgress progress;
  constexpr double report_interval = 0.1;
  double next_report = report_interval;
  auto last_end = begin;
  for (;;) {
    s.feed(limits, begin);
    if (s.collect(progress, each_slice)) {
      last_end = Clock::now();
    } else if (s.waiting.empty() && s.context.stats().in_flight == 0) {
      break;
    } else {
      s.check_hang(last_end);
    }
    if (report && seconds() > next_report) {
      next_report = seconds() + report_interval;
      progress.seconds = seconds();
      progress.conflicts = s.fewest_conflicts();
      report(progress);
    }
  }
  progress.seconds = seconds();
  return s.finish(progress, initial);
}

const std::vector<std::uint32_t>& WhcrSolver::conflicts_by_search() const {
  return state_->conflicts;
}
std::string WhcrSolver::description() const {
  return state_->context.description() + " (" + state_->context.reason() + ")";
}
std::uint32_t WhcrSolver::searches() const {
  return static_cast<std::uint32_t>(state_->searches.size());
}
std::uint32_t WhcrSolver::slice() const {
  return state_->slice;
}

}  // namespace aatgs::coloring
