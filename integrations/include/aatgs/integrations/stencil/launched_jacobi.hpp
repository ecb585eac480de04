// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace aatgs::stencil {

/// How iterations get to the GPU without a resident kernel: one launch each.
enum class LaunchRoad {
  launch,     ///< plain launches into a stream
  graph,      ///< a CUDA graph of `LaunchedJacobi::graph_iterations`
  graph_pdl,  ///< the same with programmatic dependent launch between its kernels
};

/// How a kernel of one iteration is cut up.
struct LaunchShape {
  unsigned columns = 4;  ///< of one thread: 1 or 4
  unsigned rows = 1;     ///< of one thread: 1, 2, 4 or 8
  unsigned block_x = 32;
  unsigned block_y = 4;
  bool early = false;  ///< graph_pdl: lets the next kernel in before this one has its input

  [[nodiscard]] std::string name() const;
};

/// What `PoissonJacobi` is compared with: one kernel launch an iteration, the field in GPU memory,
/// and in its caches as far as those go. The same iterates, bit for bit. Needs a GPU; not
/// thread-safe.
class LaunchedJacobi {
 public:
  static constexpr std::uint64_t graph_iterations = 100;

  /// Whether a device has this road: not every GPU has programmatic dependent launch, nor has code
  /// that was compiled for an older one. Throws `DeviceError`.
  static bool is_available(LaunchRoad road, int device = 0);

  /// Starts from u = 0. Throws `DeviceError`, `UseError` if f has not n * n values, `OptionError`
  /// if the device does not have the road.
  LaunchedJacobi(std::uint32_t n, std::span<const float> f, LaunchRoad road, int device = 0);
  ~LaunchedJacobi();
  LaunchedJacobi(const LaunchedJacobi&) = delete;
  LaunchedJacobi& operator=(const LaunchedJacobi&) = delete;

  /// Runs that many iterations and waits for them. What is left over after whole graphs is launched
  /// one by one.
  void iterate(std::uint64_t iterations);

  [[nodiscard]] std::vector<float> field() const;
  /// Throws `UseError` if u has not n * n values.
  void set_field(std::span<const float> u);

  /// Tries all shapes, about 3 ms each, and stays with the fastest. Iterates on the field
  /// meanwhile.
  LaunchShape tune();
  /// Throws `UseError` if it is not among `shapes`.
  void set_shape(const LaunchShape& shape);
  static std::vector<LaunchShape> shapes(LaunchRoad road);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string_view to_string(LaunchRoad road);

}  // namespace aatgs::stencil
