// SPDX-License-Identifier: Apache-2.0
#include "samples.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <utility>

namespace aatgs::bench {

namespace {

std::string short_number(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace

std::string Case::name() const {
  std::string name = group;
  if (!step.empty()) name += "/" + step;
  if (!scope.empty()) name += "/" + scope;
  if (step_us) name += "/" + short_number(*step_us) + "us";
  return name + "/" + road;
}

Figure figure(Case of, std::string unit, std::string what, std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto at = [&](std::size_t percent) {
    return values.empty() ? 0.0
                          : values[std::min(values.size() - 1, values.size() * percent / 100)];
  };
  return {std::move(of), std::move(unit), std::move(what), at(1), at(50), at(99), values.size()};
}

double middle_mean(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto outer = static_cast<std::ptrdiff_t>(values.size() / 4);
  const auto begin = values.begin() + outer;
  const auto end = values.end() - outer;
  return std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin);
}

Figure middle_of(const std::vector<Figure>& rounds) {
  const auto middle_value = [](std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  };
  const auto middle = [&](double Figure::*percentile) {
    std::vector<double> values;
    for (const Figure& round : rounds) values.push_back(round.*percentile);
    return middle_value(std::move(values));
  };
  Figure all = rounds.back();
  all.p01 = middle(&Figure::p01);
  all.p50 = middle(&Figure::p50);
  all.p99 = middle(&Figure::p99);
  all.samples = 0;
  std::vector<double> against_best;
  for (const Figure& round : rounds) {
    all.samples += round.samples;
    if (round.against_best) against_best.push_back(*round.against_best);
  }
  if (!against_best.empty()) all.against_best = middle_value(std::move(against_best));
  return all;
}

}  // namespace aatgs::bench
