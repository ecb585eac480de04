// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>

namespace aatgs::test {

/// `few` where AATGS_TEST_BRIEF is set: for tools such as racecheck, under which a GPU is some
/// hundred times slower.
template <class T>
T brief_or(T few, T usual) {
  return std::getenv("AATGS_TEST_BRIEF") == nullptr ? usual : few;
}

}  // namespace aatgs::test
