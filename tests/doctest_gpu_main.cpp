// SPDX-License-Identifier: Apache-2.0
// The main of GPU tests: without a GPU it counts the test cases and leaves with Meson's skip status.
#define DOCTEST_CONFIG_IMPLEMENT
#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <iostream>

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  int gpus = 0;
  const cudaError_t error = cudaGetDeviceCount(&gpus);
  if (error == cudaSuccess && gpus > 0) return context.run();

  std::cout << "Skipped: no GPU (cudaGetDeviceCount: " << cudaGetErrorName(error) << ")\n";
  const char* const count[] = {argv[0], "--count"};
  context.applyCommandLine(2, count);
  context.run();
  constexpr int meson_skip = 77;
  return meson_skip;
}
