// SPDX-License-Identifier: Apache-2.0
#include "chrome_trace.hpp"

#include <cstdio>

#include "json_text.hpp"

namespace aatgs {

void ChromeTrace::begin(char phase, std::string_view name, std::uint32_t process) {
  text_ += text_.empty() ? "{\"ph\":\"" : ",\n{\"ph\":\"";
  text_ += phase;
  text_ += "\",\"name\":";
  append_string(text_, name);
  text_ += ",\"pid\":";
  append_number(text_, std::uint64_t{process});
}

void ChromeTrace::add_time(const char* key, std::uint64_t ns) {
  char text[48];
  std::snprintf(text, sizeof(text), ",\"%s\":%llu.%03u", key,
                static_cast<unsigned long long>(ns / 1000), static_cast<unsigned>(ns % 1000));
  text_ += text;
}

void ChromeTrace::name_process(std::uint32_t process, std::string_view name) {
  begin('M', "process_name", process);
  text_ += ",\"args\":{\"name\":";
  append_string(text_, name);
  text_ += "}}";
}

void ChromeTrace::name_track(std::uint32_t process, std::uint32_t track, std::string_view name) {
  begin('M', "thread_name", process);
  text_ += ",\"tid\":";
  append_number(text_, std::uint64_t{track});
  text_ += ",\"args\":{\"name\":";
  append_string(text_, name);
  text_ += "}}";
}

void ChromeTrace::span(std::uint32_t process, std::uint32_t track, std::string_view name,
                       std::uint64_t begin_ns, std::uint64_t end_ns, std::string_view args) {
  begin('X', name, process);
  text_ += ",\"tid\":";
  append_number(text_, std::uint64_t{track});
  add_time("ts", begin_ns);
  add_time("dur", end_ns - begin_ns);
  text_ += ",\"args\":";
  text_ += args;
  text_ += '}';
}

void ChromeTrace::async_span(std::uint32_t process, std::uint64_t id, std::string_view name,
                             std::uint64_t begin_ns, std::uint64_t end_ns, std::string_view args) {
  for (const char phase : {'b', 'e'}) {
    begin(phase, name, process);
    text_ += ",\"cat\":\"task\",\"id\":";
    append_number(text_, id);
    add_time("ts", phase == 'b' ? begin_ns : end_ns);
    text_ += ",\"args\":";
    text_ += phase == 'b' ? args : std::string_view("{}");
    text_ += '}';
  }
}

void ChromeTrace::counter(std::uint32_t process, std::string_view name, std::uint64_t at_ns,
                          std::uint64_t value) {
  begin('C', name, process);
  add_time("ts", at_ns);
  text_ += ",\"args\":{\"value\":";
  append_number(text_, value);
  text_ += "}}";
}

std::string ChromeTrace::whole(std::string_view notes) const {
  return "{\"displayTimeUnit\":\"ns\",\"otherData\":" + std::string(notes) +
         ",\"traceEvents\":[\n" + text_ + "\n]}\n";
}

}  // namespace aatgs
