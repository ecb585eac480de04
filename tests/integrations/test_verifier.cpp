// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <aatgs/integrations/coloring/generators.hpp>
#include <aatgs/integrations/coloring/verifier.hpp>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "graph_test_support.hpp"

using namespace aatgs::coloring;
using namespace aatgs::coloring::test;

namespace {

using Colors = std::vector<Color>;

const Graph square(4, std::vector<Edge>{{0, 1}, {1, 2}, {2, 3}, {3, 0}});

/// While it lives, no file of this process grows beyond `bytes`: a full disk without a disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_{};
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("a conflict is missed, or an edge counts from both of its ends") {
  CHECK(count_conflicts(square, Colors{0, 1, 0, 1}) == 0);
  CHECK(count_conflicts(square, Colors{0, 0, 1, 2}) == 1);
  CHECK(count_conflicts(square, Colors{2, 0, 1, 2}) == 1);
  CHECK(count_conflicts(square, Colors{5, 5, 5, 5}) == 4);
  const Graph graph = gnp_graph(200, 0.2, 3);
  const Colors colors = random_coloring(200, 7, 4);
  std::uint64_t expected = 0;
  for (Vertex u = 0; u < 200; ++u) {
    for (Vertex v = u + 1; v < 200; ++v) {
      if (graph.has_edge(u, v) && colors[u] == colors[v]) ++expected;
    }
  }
  CHECK(expected > 300);
  CHECK(count_conflicts(graph, colors) == expected);
  CHECK(verify_coloring(graph, colors, 7).conflicts == expected);
}

TEST_CASE("a coloring with a conflict is reported as legal") {
  const auto good = verify_coloring(square, Colors{0, 1, 0, 1}, 2);
  CHECK(good.legal());
  CHECK(good.describe() == "legal");
  CHECK_FALSE(good.first_conflict.has_value());
  const auto bad = verify_coloring(square, Colors{1, 0, 2, 2}, 3);
  CHECK_FALSE(bad.legal());
  CHECK(bad.first_conflict == Edge{2, 3});
  CHECK(verify_coloring(square, Colors{5, 5, 5, 5}, 6).first_conflict == Edge{0, 1});
  CHECK(bad.describe() == "not legal: 1 conflicts, the first on edge 2-3");
}

TEST_CASE("a coloring with more colors than allowed is reported as legal") {
  const auto bad = verify_coloring(square, Colors{0, 1, 0, 2}, 2);
  CHECK_FALSE(bad.legal());
  CHECK(bad.conflicts == 0);
  CHECK(bad.out_of_range == 1);
  CHECK(bad.first_out_of_range == Vertex{3});
  CHECK(bad.describe() == "not legal: 1 colors out of range, the first at vertex 3");
  const auto worse = verify_coloring(square, Colors{9, 1, 0, 0xFFFFFFFF}, 1);
  CHECK(worse.out_of_range == 3);
  CHECK(worse.first_out_of_range == Vertex{0});
  const auto both = verify_coloring(square, Colors{9, 9, 0, 1}, 2);
  CHECK(both.describe() ==
        "not legal: 1 conflicts, the first on edge 0-1; 2 colors out of range, the first at vertex "
        "0");
}

TEST_CASE("a coloring of another size or of no colors is checked") {
  CHECK_THROWS_AS(count_conflicts(square, Colors{0, 1, 0}), aatgs::UseError);
  CHECK_THROWS_WITH_AS(verify_coloring(square, Colors{0, 1, 0, 1, 0}, 2),
                       "a coloring of 5 vertices cannot be checked against a graph of 4; pass one "
                       "color per vertex",
                       aatgs::UseError);
  CHECK_THROWS_AS(verify_coloring(square, Colors{0, 1, 0, 1}, 0), aatgs::OptionError);
}

TEST_CASE("a written coloring is 1-based, out of order or leaves a temporary file") {
  const TempDir dir;
  write_coloring(dir / "c.txt", Colors{3, 0, 17});
  CHECK(slurp(dir / "c.txt") == "3\n0\n17\n");
  write_coloring(dir / "c.txt", Colors{1});
  CHECK(slurp(dir / "c.txt") == "1\n");
  CHECK(dir.entries() == 1);
  CHECK(read_coloring(dir / "c.txt", 1) == Colors{1});
}

TEST_CASE("a full disk leaves half a file, or destroys the old one") {
  const TempDir dir;
  const Colors colors(100000, 12);
  put(dir / "old.txt", "7\n");
  {
    const FileSizeLimit full(1);  // a short file fails only when it is closed
    CHECK(input_error([&] {
            write_coloring(dir / "old.txt", Colors{1, 2});
          }) == "cannot write " + (dir / "old.txt").string() + ": File too large");
  }
  {
    const FileSizeLimit full(4096);
    CHECK(input_error([&] { write_coloring(dir / "old.txt", colors); }) ==
          "cannot write " + (dir / "old.txt").string() + ": File too large");
    CHECK(input_error([&] { write_coloring(dir / "new.txt", colors); }) != "");
  }
  CHECK(slurp(dir / "old.txt") == "7\n");
  CHECK(dir.entries() == 1);
}

TEST_CASE("an output that cannot be a file is replaced, or its error says nothing") {
  const TempDir dir;
  const std::string folder = (dir / "folder").string();
  fs::create_directory(folder);
  CHECK(input_error([&] { write_coloring(folder, Colors{1}); }) ==
        "cannot write " + folder + ": it is a directory");
  const std::string nowhere = (dir / "no/such").string();
  CHECK(input_error([&] { write_coloring(nowhere, Colors{1}); }) ==
        "cannot write " + nowhere + ": No such file or directory");
  put(dir / "target", "");
  fs::create_symlink(dir / "target", dir / "link");
  write_coloring(dir / "link", Colors{4});
  CHECK(fs::is_symlink(dir / "link"));
  CHECK(slurp(dir / "target") == "4\n");
  CHECK(dir.entries() == 3);
}

TEST_CASE("a link to a file that is not there yet is replaced, or a loop of links is followed") {
  const TempDir dir;
  fs::create_symlink("second", dir / "first");
  fs::create_symlink(dir / "target", dir / "second");
  write_coloring(dir / "first", Colors{4});
  CHECK(fs::is_symlink(dir / "first"));
  CHECK(fs::is_symlink(dir / "second"));
  CHECK(slurp(dir / "target") == "4\n");
  CHECK(dir.entries() == 3);
  const std::string loop = (dir / "loop").string();
  fs::create_symlink("loop", loop);
  CHECK(input_error([&] { write_coloring(loop, Colors{4}); }) ==
        "cannot write " + loop + ": Too many levels of symbolic links");
}

TEST_CASE("threads that write the same file mix their texts, or one finds its own gone") {
  const TempDir dir;
  for (int round = 0; round < 50; ++round) {
    std::vector<std::string> errors(2);
    std::vector<std::thread> threads;
    for (std::uint32_t i = 0; i < 2; ++i) {
      threads.emplace_back([&, i] {
        errors[i] = input_error([&] { write_coloring(dir / "c.txt", Colors(20000 * (i + 1), i)); });
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(errors == std::vector<std::string>(2));
    const std::string text = slurp(dir / "c.txt");
    CHECK((text.size() == 40000 || text.size() == 80000));
    CHECK(text.find(text.size() == 40000 ? '1' : '0') == std::string::npos);
    CHECK(dir.entries() == 1);
  }
}

TEST_CASE("a pipe or device named as output is replaced by a plain file") {
  const TempDir dir;
  const fs::path pipe = dir / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  std::fstream reader(pipe, std::ios::in | std::ios::out);  // so that a writer need not wait
  write_coloring(pipe, Colors{4, 2});
  REQUIRE(fs::is_fifo(pipe));
  std::string line;
  CHECK(std::getline(reader, line));
  CHECK(line == "4");
  CHECK(dir.entries() == 1);
}

TEST_CASE("a bad coloring file is read, or its error does not name file, line and reason") {
  const TempDir dir;
  const std::string file = (dir / "c.txt").string();
  const auto error_of = [&](std::string_view text) {
    put(file, text);
    return input_error([&] { read_coloring(file, 3); });
  };
  CHECK(error_of("1\r\n0\r\n 2 \r\n") == "");
  CHECK(error_of("1\n0\n2") == file + ":3: the file ends inside this line: it looks cut");
  CHECK(error_of("1\n0\n") == file + ":2: the file ends after 2 colors; the graph has 3 vertices");
  CHECK(error_of("") == file + ":0: the file ends after 0 colors; the graph has 3 vertices");
  CHECK(error_of("1\n0\n2\n1\n") == file + ":4: more colors than the 3 vertices");
  CHECK(error_of("1\n\n2\n1\n") == file + ":2: expected one color, found ''");
  CHECK(error_of("1\n0 2\n") == file + ":2: expected one color, found '0 2'");
  CHECK(error_of("1\n-1\n2\n") == file + ":2: '-1' is not a color (a whole number of 32 bits)");
  CHECK(error_of("1\n4294967296\n2\n") ==
        file + ":2: '4294967296' is not a color (a whole number of 32 bits)");
  CHECK(error_of(std::string_view("1\n0\0\n2\n", 7)) ==
        file + ":2: NUL byte: this is not a text file");
  CHECK(input_error([&] { read_coloring(dir / "none", 3); }) ==
        (dir / "none").string() + ":0: cannot open: No such file or directory");
}

TEST_CASE("colors written and read again differ") {
  const TempDir dir;
  const Colors colors = random_coloring(1000, 4294967295, 5);
  write_coloring(dir / "c.txt", colors);
  CHECK(read_coloring(dir / "c.txt", 1000) == colors);
}
