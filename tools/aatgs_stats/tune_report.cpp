// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "tune.hpp"

namespace aatgs {
namespace {

using Json = nlohmann::ordered_json;

std::string mean_and_peak(const RingUtilization& ring) {
  return fixed(100 * ring.mean, 0) + "/" + fixed(100 * ring.peak, 0);
}

std::string policies_of(const Setting& s) {
  return std::string(name_of(s.config_policy)) + "/" + std::string(name_of(s.telemetry_policy));
}

bool is_recommended(const TuneResult& result, const Measurement& m) {
  const Setting& a = result.recommended.setting;
  const Setting& b = m.setting;
  return a.config_slots == b.config_slots && a.telemetry_slots == b.telemetry_slots &&
         a.config_policy == b.config_policy && a.telemetry_policy == b.telemetry_policy;
}

/// One sentence, without its end.
std::string advice(RingVerdict verdict, const RingUtilization& ring) {
  const std::string peak = "its peak of " + fixed(100 * ring.peak, 0) + " % ";
  switch (verdict) {
    case RingVerdict::shrink:
      return peak + "is low: batch more, so that the GPU does not run dry";
    case RingVerdict::fine:
      return peak + "is fine";
    case RingVerdict::ideal:
      return peak + "is ideal";
    case RingVerdict::nearly_full:
      return peak + "is nearly full";
    case RingVerdict::enlarge:
      break;
  }
  return "full at times";
}

std::string telemetry_advice(const Measurement& m) {
  const RingVerdict verdict = judge_telemetry_ring(m);
  const bool follows = m.setting.telemetry_policy == TelemetryPolicy::block &&
                       m.setting.telemetry_slots <= m.setting.config_slots;
  if (verdict == RingVerdict::shrink && follows) return "each queued config holds one";
  return advice(verdict, m.telemetry_ring);
}

/// Why a ring that overflows is recommended all the same.
std::string excuse(const TuneResult& result) {
  if (is_clean(result.recommended)) return {};
  const Setting& s = result.recommended.setting;
  const std::uint32_t most = result.plan.limits.most;
  if (s.config_slots == most || s.telemetry_slots == most) {
    return "No ring up to --max-slots " + std::to_string(most) +
           " was large enough: allow more, or queue less at once.";
  }
  return "Rings overflow at any size, and larger ones are not faster: configs come faster than "
         "they are run and collected.";
}

std::string environment_of(const Setting& s) {
  return std::string(config_slots_variable) + "=" + std::to_string(s.config_slots) + " " +
         telemetry_slots_variable + "=" + std::to_string(s.telemetry_slots);
}

std::string code_of(const Setting& s) {
  std::string code = "options.config_slots = " + std::to_string(s.config_slots) +
                     ";\noptions.telemetry_slots = " + std::to_string(s.telemetry_slots) + ";\n";
  if (s.config_policy != ConfigPolicy::block) {
    code +=
        "options.config_policy = aatgs::ConfigPolicy::" + std::string(name_of(s.config_policy)) +
        ";\n";
  }
  if (s.telemetry_policy != TelemetryPolicy::block) {
    code += "options.telemetry_policy = aatgs::TelemetryPolicy::" +
            std::string(name_of(s.telemetry_policy)) + ";\n";
  }
  return code;
}

Json ring_json(const RingUtilization& ring) {
  return {{"slots", ring.slots}, {"mean", ring.mean}, {"peak", ring.peak}};
}

Json run_json(const Measurement& m) {
  return {{"config_slots", m.setting.config_slots},
          {"telemetry_slots", m.setting.telemetry_slots},
          {"config_policy", name_of(m.setting.config_policy)},
          {"telemetry_policy", name_of(m.setting.telemetry_policy)},
          {"executor", m.executor},
          {"collected", m.collected},
          {"seconds", m.seconds},
          {"per_second", m.per_second},
          {"p50_ns", m.p50_ns},
          {"p99_ns", m.p99_ns},
          {"config_ring", ring_json(m.config_ring)},
          {"telemetry_ring", ring_json(m.telemetry_ring)},
          {"config_overflows", m.config_overflows},
          {"telemetry_overflows", m.telemetry_overflows}};
}

std::string as_json(const TuneResult& result) {
  const Measurement& best = result.recommended;
  Json runs = Json::array();
  for (const Measurement& m : result.runs) runs.push_back(run_json(m));
  Json recommended = run_json(best);
  recommended["share_of_fastest"] =
      result.fastest_per_second > 0 ? best.per_second / result.fastest_per_second : 0;
  recommended["overflows_anyway"] = excuse(result);
  recommended["environment"] = environment_of(best.setting);
  recommended["code"] = code_of(best.setting);
  const Json all = {{"workload", result.plan.workload},
                    {"exhaustive", result.plan.exhaustive},
                    {"repeat", result.plan.repeat},
                    {"runs", runs},
                    {"recommended", recommended}};
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Row csv_header() {
  return {"config_slots",   "telemetry_slots", "config_policy",    "telemetry_policy",
          "executor",       "collected",       "seconds",          "per_second",
          "p50_ns",         "p99_ns",          "config_mean",      "config_peak",
          "telemetry_mean", "telemetry_peak",  "config_overflows", "telemetry_overflows"};
}

Row csv_row(const Measurement& m) {
  const Setting& s = m.setting;
  return {std::to_string(s.config_slots),
          std::to_string(s.telemetry_slots),
          std::string(name_of(s.config_policy)),
          std::string(name_of(s.telemetry_policy)),
          m.executor,
          std::to_string(m.collected),
          fixed(m.seconds, 6),
          fixed(m.per_second, 1),
          std::to_string(m.p50_ns),
          std::to_string(m.p99_ns),
          fixed(m.config_ring.mean, 6),
          fixed(m.config_ring.peak, 6),
          fixed(m.telemetry_ring.mean, 6),
          fixed(m.telemetry_ring.peak, 6),
          std::to_string(m.config_overflows),
          std::to_string(m.telemetry_overflows)};
}

Row text_header() {
  return {"CONFIG", "TELEMETRY", "POLICIES", "CONFIGS/S", "P50",
          "P99",    "CONFIG%",   "TELEM%",   "OVERFLOW"};
}

Row text_row(const Measurement& m) {
  return {std::to_string(m.setting.config_slots),
          std::to_string(m.setting.telemetry_slots),
          policies_of(m.setting),
          fixed(m.per_second, 0),
          short_time(m.p50_ns),
          short_time(m.p99_ns),
          mean_and_peak(m.config_ring),
          mean_and_peak(m.telemetry_ring),
          std::to_string(m.config_overflows) + "+" + std::to_string(m.telemetry_overflows)};
}

Row with(Row row, const std::string& last) {
  row.push_back(last);
  return row;
}

std::string as_csv(const TuneResult& result) {
  std::vector<Row> rows = {with(csv_header(), "recommended")};
  for (const Measurement& m : result.runs) {
    rows.push_back(with(csv_row(m), is_recommended(result, m) ? "yes" : "no"));
  }
  return csv(rows);
}

std::string as_text(const TuneResult& result) {
  std::vector<Row> rows = {with(text_header(), "")};
  for (const Measurement& m : result.runs) {
    rows.push_back(with(text_row(m), is_recommended(result, m) ? "<- recommended" : ""));
  }
  const Measurement& best = result.recommended;
  const std::string reason = excuse(result);
  return result.plan.workload + ", on " + best.executor + "\n\n" + table(rows) +
         "\nRecommended: " + std::to_string(best.setting.config_slots) + " config slots (" +
         advice(judge_config_ring(best), best.config_ring) + ") and " +
         std::to_string(best.setting.telemetry_slots) + " telemetry slots (" +
         telemetry_advice(best) + ").\n" + (reason.empty() ? "" : reason + "\n") +
         "\nTo paste, into the program:\n\n" + code_of(best.setting) +
         "\nor before its command, if it does not set them itself:\n\n" +
         environment_of(best.setting) + "\n";
}

}  // namespace

std::string show_tuning(const TuneResult& result, Format format) {
  switch (format) {
    case Format::json:
      return as_json(result);
    case Format::csv:
      return as_csv(result);
    case Format::text:
      break;
  }
  return as_text(result);
}

std::string show_run(const std::string& workload, const Measurement& run, Format format) {
  if (format == Format::csv) return csv({csv_header(), csv_row(run)});
  if (format == Format::text) {
    return workload + ", on " + run.executor + "\n\n" + table({text_header(), text_row(run)});
  }
  Json all = {{"workload", workload}};
  all.update(run_json(run));
  return all.dump(2) + "\n";
}

}  // namespace aatgs
