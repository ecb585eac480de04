// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>

namespace aatgs {

/// At most `Capacity` bytes of text inside a record. Of a longer text the beginning is kept and
/// `cut()` is true; a file then shows it with "..." behind it.
template <std::uint16_t Capacity>
class FixedText {
 public:
  static constexpr std::size_t capacity = Capacity;

  constexpr FixedText() = default;
  /// Of anything that is a text, so that `metric.phase = "own"` works.
  template <std::convertible_to<std::string_view> Text>
  constexpr FixedText(const Text& text)  // NOLINT(google-explicit-constructor)
      : FixedText(std::string_view(text), 0) {}

  [[nodiscard]] constexpr std::string_view view() const { return {bytes_.data(), size_}; }
  [[nodiscard]] constexpr bool cut() const { return cut_; }

  /// As `*this = other`, but touches only memory that the text needs.
  constexpr void take(const FixedText& other) {
    size_ = other.size_;
    cut_ = other.cut_;
    std::copy_n(other.bytes_.data(), other.size_, bytes_.data());
  }

 private:
  constexpr FixedText(std::string_view text, int)
      : size_(static_cast<std::uint16_t>(std::min(text.size(), capacity))),
        cut_(text.size() > capacity) {
    std::copy_n(text.data(), size_, bytes_.data());
  }

  std::uint16_t size_ = 0;
  bool cut_ = false;
  std::array<char, Capacity> bytes_{};
};

/// Names of the phases that this library knows. A solver's own are as good.
namespace phase {
inline constexpr const char* reservoir = "reservoir";
inline constexpr const char* transfer_entropy = "transfer_entropy";
inline constexpr const char* active_inference = "active_inference";
inline constexpr const char* thermodynamic = "thermodynamic";
inline constexpr const char* quantum = "quantum";
inline constexpr const char* memetic = "memetic";
inline constexpr const char* ensemble = "ensemble";
inline constexpr const char* validation = "validation";
inline constexpr const char* whcr = "whcr";
}  // namespace phase

/// Where a phase ran.
struct PhaseExecution {
  enum class Mode : std::uint8_t { disabled, gpu_stream, gpu_ticket, cpu_fallback };

  Mode mode = Mode::disabled;
  std::uint64_t number = 0;  ///< the stream's or the ticket, else 0
  FixedText<61> reason;      ///< why it ran on the CPU, else empty

  static PhaseExecution disabled() { return {}; }
  static PhaseExecution gpu_stream(std::uint64_t stream) { return {Mode::gpu_stream, stream, {}}; }
  static PhaseExecution gpu_ticket(std::uint64_t ticket) { return {Mode::gpu_ticket, ticket, {}}; }
  static PhaseExecution cpu_fallback(std::string_view reason) {
    return {Mode::cpu_fallback, 0, reason};
  }
};

/// One line of a run's telemetry: how far a phase has come. Trivially copyable, of fixed size.
struct RunMetric {
  static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

  FixedText<29> phase;
  std::uint64_t step = 0;
  std::uint64_t chromatic_number = 0;  ///< colors in use
  std::uint64_t conflicts = 0;
  double duration_ms = unknown;  ///< null in the file unless finite
  PhaseExecution execution;
  /// Any one JSON value of at most 253 bytes, or empty for null. What is longer, or not JSON, is
  /// kept in the file as {"cut":"text..."} or {"not_json":"text"} and counted in the summary.
  FixedText<253> parameters;
  FixedText<253> notes;

  // Filled by TelemetryHandle.
  std::uint64_t monotonic_ns = 0;  ///< of the host's steady clock, as in a `Completion`
  std::int64_t unix_ns = 0;        ///< UTC, nanoseconds since 1970
  std::uint64_t sequence = 0;      ///< counts the calls of `record`: a gap is a record not kept
  FixedText<45> run_id;
};

}  // namespace aatgs
