// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/errors.hpp>
#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/whcr_portfolio.hpp>
#include <algorithm>
#include <exception>
#include <latch>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <tuple>
#include <utility>

namespace aatgs::coloring {

namespace {

void check_devices(const WhcrOptions& options, std::span<const int> devices) {
  if (devices.empty()) throw OptionError("WHCR on no device: name at least one");
  if (options.trace != nullptr && devices.size() > 1) {
    throw OptionError("a trace of WHCR on " + std::to_string(devices.size()) +
                      " devices: a RunTrace is of one context, so trace one device");
  }
  const bool on_host = is_on_host(options.context.executor);
  std::set<int> named;
  for (const int device : devices) {
    if (!named.insert(device).second) {
      throw OptionError("WHCR on device " + std::to_string(device) + " twice: name it once");
    }
    const std::string obstacle = on_host ? std::string() : why_no_gpu(device);
    if (!obstacle.empty()) {
      throw DeviceError("WHCR on device " + std::to_string(device) + ": " + obstacle +
                            ": name devices that are there, or the executor cpu",
                        "cudaErrorInvalidDevice");
    }
  }
}

std::uint32_t count_colors(std::span<const Color> colors) {
  return static_cast<std::uint32_t>(std::set<Color>(colors.begin(), colors.end()).size());
}

WhcrProgress sum(std::span<const WhcrProgress> parts) {
  WhcrProgress all;
  all.conflicts = ~std::uint32_t{0};
  for (const WhcrProgress& part : parts) {
    all.iterations += part.iterations;
    all.moves += part.moves;
    all.conflicts = std::min(all.conflicts, part.conflicts);
    all.seconds = std::max(all.seconds, part.seconds);
  }
  return all;
}

/// What the threads of one run share.
class Portfolio {
 public:
  Portfolio(const Graph& graph, const WhcrOptions& options, std::span<const int> devices,
            std::span<const Color> initial, const WhcrLimits& limits,
            const std::function<void(const WhcrProgress&)>& report)
      : graph_(graph),
        options_(options),
        initial_(initial),
        limits_(limits),
        report_(report),
        progress_(devices.size(), WhcrProgress{.conflicts = ~std::uint32_t{0}}),
        runs_(devices.size()),
        made_(static_cast<std::ptrdiff_t>(devices.size())),
        ended_(static_cast<std::ptrdiff_t>(devices.size())) {
    for (std::size_t i = 0; i < devices.size(); ++i) {
      runs_[i].part.device = devices[i];
      runs_[i].part.seed = whcr_part_seed(options.seed, i);
    }
  }

  WhcrPortfolioResult run() {
    const std::stop_callback forward(limits_.stop, [this] { stop_.request_stop(); });
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      guarded(runs_[i], [&] { threads.emplace_back([this, i] { work(i); }); });
    }
    // Nobody waits for those that the machine refused.
    const auto missing = static_cast<std::ptrdiff_t>(runs_.size() - threads.size());
    made_.count_down(missing);
    ended_.count_down(missing);
    for (std::thread& thread : threads) thread.join();
    return finish();
  }

 private:
  struct Run {
    WhcrPart part;
    std::optional<WhcrResult> result;
    std::exception_ptr error;
  };

  /// One device's thread. Pinned memory is had and given back while no kernel works: CUDA would
  /// wait for it, on whatever device. So no part runs before all are made, and none ends before
  /// all have run.
  void work(std::size_t index) noexcept {
    Run& run = runs_[index];
    std::unique_ptr<WhcrSolver> solver;
    guarded(run, [&] { solver = make_solver(run.part); });
    made_.arrive_and_wait();
    if (solver) guarded(run, [&] { solve(index, *solver); });
    ended_.arrive_and_wait();
  }

  template <class Call>
  static void guarded(Run& run, Call call) noexcept {
    try {
      call();
    } catch (...) {
      run.error = std::current_exception();
    }
  }

  std::unique_ptr<WhcrSolver> make_solver(WhcrPart& part) {
    WhcrOptions options = options_;
    options.seed = part.seed;
    options.context.device = part.device;
    if (is_on_host(options.context.executor) && options.context.cpu_threads == 0) {
      const auto sharers = static_cast<unsigned>(runs_.size());
      options.context.cpu_threads = std::max(1U, std::thread::hardware_concurrency() / sharers);
    }
    if (options.hypertune_report) {
      options.hypertune_report = [this](const RunMetric& metric) {
        const std::lock_guard lock(reporting_);
        options_.hypertune_report(metric);
      };
    }
    auto solver = std::make_unique<WhcrSolver>(graph_, options);
    part.description = solver->description();
    part.searches = solver->searches();
    return solver;
  }

  void solve(std::size_t index, WhcrSolver& solver) {
    Run& run = runs_[index];
    std::vector<Color> own;
    if (index != 0) own = random_coloring(graph_.vertex_count(), options_.colors, run.part.seed);
    WhcrLimits limits = limits_;
    limits.stop = stop_.get_token();
    std::function<void(const WhcrProgress&)> report;
    if (report_) report = [&](const WhcrProgress& now) { tell(index, now); };
    run.result = solver.run(index == 0 ? initial_ : std::span<const Color>(own), limits, report);
    run.part.progress = run.result->total;
    run.part.colors = count_colors(run.result->colors);
    if (run.result->conflicts == 0) {
      stop_.request_stop();
    } else {
      run.part.was_stopped = stop_.stop_requested();
    }
  }

  void tell(std::size_t index, const WhcrProgress& now) {
    const std::lock_guard lock(reporting_);
    progress_[index] = now;
    report_(sum(progress_));
  }

  WhcrPortfolioResult finish() {
    const auto rank = [](const Run& run) {
      const std::uint64_t conflicts = run.result ? run.result->conflicts : 0;
      return std::tuple(!run.result.has_value(), conflicts, run.part.colors);
    };
    const auto best = std::min_element(
        runs_.begin(), runs_.end(), [&](const Run& a, const Run& b) { return rank(a) < rank(b); });
    if (!best->result) std::rethrow_exception(runs_.front().error);
    WhcrPortfolioResult all;
    all.winner = static_cast<std::size_t>(best - runs_.begin());
    all.best = std::move(*best->result);
    std::vector<WhcrProgress> progress;
    for (Run& run : runs_) {
      if (run.error != nullptr) {
        run.part.failure = text_of(run.error);
      } else {
        progress.push_back(run.part.progress);
      }
      all.parts.push_back(std::move(run.part));
    }
    all.best.total = sum(progress);
    return all;
  }

  static std::string text_of(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      return e.what();
    } catch (...) {
      return "what was thrown is no std::exception";
    }
  }

  const Graph& graph_;
  const WhcrOptions& options_;
  std::span<const Color> initial_;
  const WhcrLimits& limits_;
  const std::function<void(const WhcrProgress&)>& report_;
  std::mutex reporting_;
  std::vector<WhcrProgress> progress_;  ///< of the parts, as reported last
  std::vector<Run> runs_;
  std::latch made_;
  std::latch ended_;
  std::stop_source stop_;
};

}  // namespace

/// The finalizer of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", 2014), since searches of one part have seeds next to each other.
std::uint64_t whcr_part_seed(std::uint64_t seed, std::size_t index) {
  if (index == 0) return seed;
  std::uint64_t z = seed + index * 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

WhcrPortfolioResult run_whcr_portfolio(const Graph& graph, const WhcrOptions& options,
                                       std::span<const int> devices, std::span<const Color> initial,
                                       const WhcrLimits& limits,
                                       const std::function<void(const WhcrProgress&)>& report) {
  check_devices(options, devices);
  return Portfolio(graph, options, devices, initial, limits, report).run();
}

}  // namespace aatgs::coloring
