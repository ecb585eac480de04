// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/stream.hpp>
#include <aatgs/host/stream/stream_profile.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace aatgs {

/// Times operations of any streams of a device by events before and after them, collected without
/// waiting. Two event records an operation. Thread-safe. Outlives its spans.
class StreamProfiler {
  struct State;

 public:
  /// `most_records`: single times kept for the trace; the sums go on after that.
  explicit StreamProfiler(std::shared_ptr<StreamDevice> device,
                          std::size_t most_records = std::size_t{1} << 18);
  ~StreamProfiler();
  StreamProfiler(const StreamProfiler&) = delete;
  StreamProfiler& operator=(const StreamProfiler&) = delete;

  /// As the stream's own, timed under a name. `UseError` for a stream of another device.
  void copy(Stream& stream, void* to, const void* from, std::size_t bytes,
            std::string_view name = "copy");
  void run(Stream& stream, const StreamWork& work, std::string_view name = "launch");
  void launch(Stream& stream, const StreamGraph& graph, std::string_view name = "graph");

  /// Times what the stream is given until its end, together.
  class Span {
   public:
    Span(Span&& other) noexcept;
    Span& operator=(Span&&) = delete;
    ~Span();
    void end() noexcept;

   private:
    friend class StreamProfiler;
    struct Open;
    explicit Span(std::unique_ptr<Open> open);
    std::unique_ptr<Open> open_;
  };
  [[nodiscard]] Span operation(Stream& stream, std::string_view name);

  /// Of what is done by now; wait for the streams first to have all. These tell of a device that
  /// failed; here what it was doing counts as not done.
  [[nodiscard]] StreamProfile report();
  /// Of one stream; empty if nothing of it was timed.
  [[nodiscard]] ProfiledStream report(const Stream& stream);
  /// In Chrome's JSON trace format, a track a stream; times count from the profiler's beginning.
  [[nodiscard]] std::string trace();
  /// Forgets everything that is done.
  void clear();

 private:
  [[nodiscard]] Span begin(Stream& stream, ProfiledKind kind, std::string_view name,
                           std::uint64_t bytes);
  template <class Call>
  void timed(Span span, Call call);

  std::unique_ptr<State> state_;
};

}  // namespace aatgs
