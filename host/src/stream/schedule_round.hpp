// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <aatgs/host/stream/multi_stream_coordinator.hpp>
#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "first_failure.hpp"
#include "named_error.hpp"

namespace aatgs::detail {

/// One execution of a schedule with a callback: calls it when the last stream has come to its end.
struct ScheduleRound {
  MultiStreamCoordinator::Done done;
  std::string who;
  std::shared_ptr<FirstFailure> failures;  // of the coordinator
  std::shared_ptr<FirstFailure> own = std::make_shared<FirstFailure>();
  std::atomic<std::size_t> left = 0;

  void stream_ended(std::exception_ptr failure) {
    if (failure != nullptr) own->add(std::move(failure));
    if (left.fetch_sub(1) != 1) return;
    try {
      done(own->take());
    } catch (...) {
      failures->add(named(std::current_exception(), who + ", a callback"));
    }
  }
};

}  // namespace aatgs::detail
