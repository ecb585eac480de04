// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/graph_spec.hpp>
#include <string>

#include "graph_test_support.hpp"

using namespace aatgs::coloring;
using namespace aatgs::coloring::test;

namespace {

std::string error_of(const std::string& spec) {
  return input_error([&] { load_graph(spec); });
}

}  // namespace

TEST_CASE("a spec makes another graph than it names") {
  const auto queen = load_graph("queen:8");
  CHECK(queen.graph == queen_graph(8));
  CHECK(queen.name == "queen8_8");
  const auto myciel = load_graph("myciel:5");
  CHECK(myciel.graph == mycielski_graph(5));
  CHECK(myciel.name == "myciel5");
  const auto gnp = load_graph("gnp:500:0.5:17");
  CHECK(gnp.graph == gnp_graph(500, 0.5, 17));
  CHECK(gnp.name == "gnp_500_0.5_17");
  CHECK(load_graph("gnp:2000:5e-3:18446744073709551615").graph ==
        gnp_graph(2000, 0.005, 18446744073709551615U));
}

TEST_CASE("a file is not found, loses its name or its reader's warnings") {
  const TempDir dir;
  put(dir / "tri.5.col", "p edge 3 9\ne 1 2\ne 2 3\ne 1 3\n");
  const auto named = load_graph((dir / "tri.5.col").string());
  CHECK(named.graph.edge_count() == 3);
  CHECK(named.name == "tri.5");
  REQUIRE(named.warnings.size() == 1);
  CHECK(
      named.warnings[0].ends_with("tri.5.col:1: 9 edges declared, 3 listed, 3 of them different"));
  put(dir / "\xFF\x1B[2J.col", "p edge 3 1\ne 1 2\n");
  CHECK(load_graph((dir / "\xFF\x1B[2J.col").string()).name == "??[2J");
  put(dir / "queen:8", "p edge 3 1\ne 1 2\n");
  CHECK(load_graph((dir / "queen:8").string()).graph.vertex_count() == 3);
  CHECK(load_graph((dir / "queen:8").string()).name == "queen:8");
}

TEST_CASE("a bad spec is taken for another, or its error does not list the forms") {
  const std::string forms = ". " + graph_spec_help();
  const auto about = [&](const std::string& spec, const std::string& reason) {
    return "graph '" + spec + "': " + reason + forms;
  };
  const auto check = [&](const std::string& spec, const std::string& reason) {
    CHECK(error_of(spec) == about(spec, reason));
  };
  check("", "nothing named");
  check("queen:", "'' is not a whole number of 64 bits");
  check("queen:8x", "'8x' is not a whole number of 64 bits");
  check("queen:-8", "'-8' is not a whole number of 64 bits");
  check("queen:8:8", "queen takes 1 values, not 2");
  check("queen:0", "the side of a queen graph's board must be in 1..256, not 0");
  check("queen:18446744073709551617", "'18446744073709551617' is not a whole number of 64 bits");
  check("myciel:99", "the order of a Mycielski graph must be in 1..15, not 99");
  check("myciel:", "'' is not a whole number of 64 bits");
  check("gnp:500:0.5", "gnp takes 3 values, not 2");
  check("gnp:500:0.5:1:", "gnp takes 3 values, not 4");
  check("gnp:500:half:1", "'half' is not a number");
  check("gnp:500:0,5:1", "'0,5' is not a number");
  check("gnp:500:nan:1", "p of G(n, p) must be in 0..1, not nan");
  check("gnp:500:1.5:1", "p of G(n, p) must be in 0..1, not 1.5");
  check("gnp:500:0.5:-1", "'-1' is not a whole number of 64 bits");
  check("gnp:0:0.5:1", "n of G(n, p) must be in 1..67108864, not 0");
  for (const std::string spec : {"quen:8", "queen", "no/such.col"}) {
    CHECK(error_of(spec) == spec + ":0: cannot open: no such file" + forms);
  }
}

TEST_CASE("a bad file's error loses its file and line") {
  const TempDir dir;
  const std::string file = (dir / "bad.col").string();
  put(file, "p edge 3 2\ne 1 2\ne 1 7\n");
  CHECK(error_of(file) == file + ":3: vertex 7 is not in 1..3");
  CHECK(error_of((dir / "").string()).ends_with(":0: is a directory, not a file"));
}
