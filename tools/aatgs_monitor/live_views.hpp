// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "filter.hpp"
#include "summary.hpp"
#include "views.hpp"

namespace aatgs::monitor {

using Print = std::function<void(const std::string&)>;

/// What is shown of lines that come one by one. Every view takes every filter.
class View {
 public:
  virtual ~View() = default;
  virtual void take(const Line& line) = 0;
  /// Prints what is not printed yet; `news`: lines have come since the last call.
  virtual void show(bool news) = 0;
};

/// Each record. Where the format is text also what begins and ends a run.
class RecordView : public View {
 public:
  RecordView(Filter filter, Format format, bool color, Print print);
  void take(const Line& line) override;
  void show(bool news) override;

 private:
  Filter filter_;
  Format format_;
  bool color_;
  Print print_;
  std::string text_;
};

/// The summary of all records up to now.
class SummaryView : public View {
 public:
  /// `in_place`: it takes the place of the one before, on a terminal.
  SummaryView(Filter filter, Format format, bool in_place, Print print);
  void take(const Line& line) override;
  void show(bool news) override;

 private:
  Filter filter_;
  Format format_;
  bool in_place_;
  Print print_;
  Summary summary_;
};

}  // namespace aatgs::monitor
