// SPDX-License-Identifier: Apache-2.0
// This program is its own profiler: it takes the place of the library that NVTX would load.
#define NVTX_NO_IMPL  // types alone
#include <doctest/doctest.h>
#include <nvtx3/nvToolsExt.h>

#include <aatgs/host/make_cpu_context.hpp>
#include <string>
#include <vector>

namespace {

struct Seen {
  std::vector<std::string> domains;
  std::vector<std::string> begun;
  std::vector<std::string> open;
  int elsewhere = 0;  // outside the first domain
} seen;

nvtxDomainHandle_t to_handle(std::uintptr_t number) {
  return reinterpret_cast<nvtxDomainHandle_t>(number);
}

nvtxDomainHandle_t NVTX_API create(const char* name) {
  seen.domains.emplace_back(name);
  return to_handle(seen.domains.size());
}
int NVTX_API push(nvtxDomainHandle_t domain, const nvtxEventAttributes_t* attributes) {
  if (domain != to_handle(1)) ++seen.elsewhere;
  seen.begun.emplace_back(attributes->message.ascii);
  seen.open.push_back(seen.begun.back());
  return 0;
}
int NVTX_API pop(nvtxDomainHandle_t) {
  REQUIRE_FALSE(seen.open.empty());
  seen.open.pop_back();
  return 0;
}

template <class Function>
void put(NvtxFunctionTable table, int id, Function* function) {
  *table[id] = reinterpret_cast<NvtxFunctionPointer>(function);
}

int NVTX_API attach(NvtxGetExportTableFunc_t tables) {
  const auto* callbacks = static_cast<const NvtxExportTableCallbacks*>(tables(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable core = nullptr;
  unsigned size = 0;
  if (!callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE2, &core, &size)) return 0;
  put(core, NVTX_CBID_CORE2_DomainCreateA, create);
  put(core, NVTX_CBID_CORE2_DomainRangePushEx, push);
  put(core, NVTX_CBID_CORE2_DomainRangePop, pop);
  return 1;
}

}  // namespace

extern "C" {
extern NvtxInitializeInjectionNvtxFunc_t InitializeInjectionNvtx2_fnptr;
NvtxInitializeInjectionNvtxFunc_t InitializeInjectionNvtx2_fnptr = attach;
}

namespace aatgs {
namespace {

struct Copy {
  template <class Group>
  void operator()(Group& group, const std::uint32_t& in, std::uint32_t& out) const {
    while (in == 7 && !group.stop_requested()) {
    }
    if (group.rank() == 0) out = in;
  }
};

using Names = std::vector<std::string>;

TEST_CASE(
    "nvtx: a long call of the host has no range, another domain, or an end that never comes") {
  auto context = make_cpu_context<std::uint32_t, std::uint32_t>(
      Copy{}, {.config_slots = 1, .telemetry_slots = 4, .cpu_threads = 1});
  seen.begun.clear();
  const std::vector<std::uint32_t> batch(20, 1);
  CHECK(context.execute_batch(batch).size() == 20);
  CHECK(seen.begun == Names{"execute_batch"});
  CHECK(context.park(std::chrono::seconds(10)));
  CHECK(seen.begun == Names{"execute_batch", "park", "flush"});
  seen.begun.clear();
  while (context.queue(7, std::chrono::milliseconds(20))) {
  }
  REQUIRE_FALSE(seen.begun.empty());
  CHECK(seen.begun.back() == "queue: no room");
  CHECK(context.shutdown(StopMode::abort));
  CHECK(seen.begun.back() == "shutdown");
  CHECK(seen.open.empty());
  CHECK(seen.domains == Names{"aatgs"});
  CHECK(seen.elsewhere == 0);
}

TEST_CASE("nvtx: every config costs a range") {
  auto context = make_cpu_context<std::uint32_t, std::uint32_t>(Copy{}, {.cpu_threads = 1});
  seen.begun.clear();
  const std::vector<std::uint32_t> some(16, 1);
  std::vector<Completion<std::uint32_t>> done(16);
  for (int i = 0; i < 10; ++i) {
    CHECK(context.queue(1));
    CHECK(context.wait(std::chrono::seconds(10)));
    CHECK(context.try_queue_many(some).count == 16);
    for (std::size_t back = 0; back < 16;) back += context.poll_many(done);
  }
  CHECK(seen.begun.empty());
}

}  // namespace
}  // namespace aatgs
