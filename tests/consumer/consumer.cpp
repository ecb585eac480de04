// SPDX-License-Identifier: Apache-2.0
// What a user of the installed library writes first: a step in a .cu file, the rest in plain C++.
#include <array>
#include <iostream>

#include "squares.hpp"

int main() {
  Squares squares = make_squares();
  std::cout << squares.description() << ": " << squares.reason() << '\n';
  const std::array configs = {1, 2, 3};
  int sum = 0;
  for (const auto& done : squares.execute_batch(configs)) sum += done.telemetry;
  std::cout << "1 + 4 + 9 = " << sum << '\n';
  return sum == 14 ? 0 : 1;
}
