// SPDX-License-Identifier: Apache-2.0
// aatgs_preflight: whether a resident kernel can live on this machine, before one is tried.
#include <aatgs/host/preflight.hpp>
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "program.hpp"

namespace aatgs {
namespace {

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::ok:
      return "ok";
    case Severity::warn:
      return "warn";
    case Severity::refuse:
      break;
  }
  return "refuse";
}

bool is_refused(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& f) { return f.severity == Severity::refuse; });
}

void print_table(const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    const std::string_view verdict = to_string(finding.severity);
    std::cout << verdict << std::string(8 - verdict.size(), ' ') << finding.check << ": "
              << finding.sentence << "\n";
  }
}

void print_json(const std::vector<Finding>& findings, int device) {
  nlohmann::ordered_json checks = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    checks.push_back({{"check", finding.check},
                      {"verdict", to_string(finding.severity)},
                      {"sentence", finding.sentence}});
  }
  const nlohmann::ordered_json report = {
      {"device", device}, {"refused", is_refused(findings)}, {"checks", checks}};
  std::cout << report.dump(2) << "\n";
}

}  // namespace
}  // namespace aatgs

int main(int argc, char** argv) {
  using aatgs::program::whole_number;
  aatgs::ResidentPlan plan;
  std::uint64_t park_after_us = 5000;
  bool json = false;
  CLI::App app(
      "Says what on this machine would hang or refuse a resident kernel, and what to change",
      "aatgs_preflight");
  app.footer(
      "Examples:\n"
      "  aatgs_preflight\n"
      "  aatgs_preflight --device 1 --json\n"
      "  aatgs_preflight --park-after 0        # for a context that never parks\n"
      "  aatgs_preflight --leave-after 1000    # for a GPU that drives a display\n"
      "Exit status: 0 nothing would; 1 something would, or a failure; 2 wrong options");
  app.add_option("--device", plan.device, "CUDA ordinal")->check(whole_number())->type_name("N");
  app.add_option("--park-after", park_after_us,
                 "idle time after which the kernel leaves the GPU; 0: never")
      ->check(whole_number())
      ->type_name("US");
  app.add_option("--leave-after", plan.leave_after,
                 "configs after which the kernel leaves the GPU; 0: no limit")
      ->check(whole_number())
      ->type_name("N");
  app.add_flag("--bounded", plan.bounded, "the kernel runs what is queued and leaves");
  app.add_flag("--json", json, "print JSON");
  return aatgs::program::run(app, argc, argv, [&] {
    // Only whether it is 0 counts here, so a huge value need not keep its size.
    plan.park_after = std::chrono::nanoseconds(park_after_us == 0 ? 0 : 1);
    const std::vector<aatgs::Finding> findings = judge(aatgs::gather_facts(plan), plan);
    if (json) {
      aatgs::print_json(findings, plan.device);
    } else {
      aatgs::print_table(findings);
    }
    return aatgs::is_refused(findings) ? 1 : 0;
  });
}
