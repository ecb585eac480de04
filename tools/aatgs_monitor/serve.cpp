// SPDX-License-Identifier: Apache-2.0
#include "serve.hpp"

#include <httplib.h>

#include <aatgs/host/errors.hpp>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <system_error>
#include <thread>

#include "client_stream.hpp"
#include "page.hpp"
#include "text_input.hpp"

namespace aatgs::monitor {
namespace {

using namespace std::chrono_literals;
using httplib::Request;
using httplib::Response;

constexpr const char* address = "127.0.0.1";
constexpr unsigned more_threads = 8;  // than streams
constexpr auto end_grace = 500ms;     // for clients to take the last of it
constexpr auto sign_of_life = 1s;     // finds clients that are gone
constexpr std::uint64_t usual_records = 100, most_records = 1000;

void answer(Response& response, int status, const std::string& line) {
  response.status = status;
  response.set_content(line + "\n", "text/plain; charset=utf-8");
}

/// Whether the client came here by a name of this machine alone. Any other name may be a stranger's
/// that points here (DNS rebinding).
bool is_loopback(const Request& request) {
  if (request.get_header_value_count("Host") != 1) return false;
  std::string host = request.get_header_value("Host");
  const std::size_t bracket = host.find(']');
  const std::size_t colon = host.find(':', bracket == host.npos ? 0 : bracket);
  if (colon != host.npos) {
    if (host.find_first_not_of("0123456789", colon + 1) != host.npos) return false;
    host.resize(colon);
  }
  for (char& c : host) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return host == "localhost" || host == address || host == "[::1]";
}

/// Nothing where the query has something else than a number.
std::optional<std::uint64_t> number_of(const Request& request, const char* name,
                                       std::uint64_t otherwise) {
  if (!request.has_param(name)) return otherwise;
  return parse_number(request.get_param_value(name));
}

}  // namespace

class PageServer::Server : private httplib::Server {
 public:
  Server(Feed& feed, std::uint16_t port) : feed_(feed) {
    configure();
    add_pages();
    listen_at(port);
    thread_ = std::thread([this] {
      listen_after_bind();
      ended_ = true;
    });
  }

  ~Server() override {
    feed_.close();
    // At first without `stop`, after which httplib would not ask for the last event.
    std::unique_lock lock(mutex_);
    left_.wait_for(lock, end_grace, [this] { return sockets_.empty(); });
    lock.unlock();
    while (!is_running() && !ended_) std::this_thread::sleep_for(1ms);
    stop();
    lock.lock();
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    lock.unlock();
    thread_.join();
  }

  [[nodiscard]] int port() const { return port_; }

 private:
  void configure();
  void add_pages();
  void listen_at(std::uint16_t port);
  void give(const char* path, const char* type, std::string Snapshot::*text);
  void give_records(const Request& request, Response& response) const;
  void give_events(Response& response);
  bool send_next(httplib::DataSink& sink, std::uint64_t& number) const;
  bool process_and_close_socket(int socket) override;

  Feed& feed_;
  int port_ = -1;
  std::atomic<bool> ended_ = false;
  std::atomic<unsigned> streams_ = 0;
  std::mutex mutex_;
  std::condition_variable left_;
  std::multiset<int> sockets_;  // that are served
  std::thread thread_;
};

void PageServer::Server::configure() {
  new_task_queue = [] { return new httplib::ThreadPool(most_streams + more_threads); };
  // httplib's own options would let a second server listen at the same port.
  set_socket_options([](int socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  set_default_headers({{"Content-Security-Policy", page_policy},
                       {"X-Content-Type-Options", "nosniff"},
                       {"Referrer-Policy", "no-referrer"},
                       {"Cross-Origin-Resource-Policy", "same-origin"},
                       {"Cache-Control", "no-store"}});
  set_pre_routing_handler([](const Request& request, Response& response) {
    if (!is_loopback(request)) {
      answer(response, 403, "this is for 127.0.0.1, localhost and [::1] alone: see the Host");
    } else if (request.method != "GET" && request.method != "HEAD") {
      response.set_header("Allow", "GET, HEAD");
      answer(response, 405, "nothing can be changed here: GET and HEAD alone");
    } else if (request.has_header("Range")) {
      answer(response, 400, "there are no ranges here: leave out the header Range");
    } else {
      return HandlerResponse::Unhandled;
    }
    return HandlerResponse::Handled;
  });
  set_error_handler([](const Request&, Response& response) {
    if (!response.body.empty()) return;
    answer(response, response.status,
           response.status == 404 ? "there is no such page: /, /events, /metrics, /api/summary, "
                                    "/api/records?since=SEQ&limit=N, /api/contexts"
                                  : "this request is not understood");
  });
}

void PageServer::Server::listen_at(std::uint16_t port) {
  errno = 0;
  if (port == 0) {
    port_ = bind_to_any_port(address);
  } else if (bind_to_port(address, port)) {
    port_ = port;
  }
  if (port_ > 0) return;
  throw InputError("cannot serve at " + std::string(address) + ":" + std::to_string(port) + ": " +
                   (errno == 0 ? "" : std::generic_category().message(errno) + ": ") +
                   "give another port, or 0 for a free one");
}

void PageServer::Server::add_pages() {
  Get("/", [](const Request&, Response& response) {
    response.set_content(page_html, "text/html; charset=utf-8");
  });
  give("/metrics", "text/plain; version=0.0.4; charset=utf-8", &Snapshot::metrics);
  give("/api/summary", "application/json", &Snapshot::summary);
  give("/api/contexts", "application/json", &Snapshot::contexts);
  Get("/api/records",
      [this](const Request& request, Response& response) { give_records(request, response); });
  Get("/events", [this](const Request&, Response& response) { give_events(response); });
}

void PageServer::Server::give(const char* path, const char* type, std::string Snapshot::*text) {
  Get(path, [this, type, text](const Request&, Response& response) {
    response.set_content(*feed_.latest().*text, type);
  });
}

void PageServer::Server::give_records(const Request& request, Response& response) const {
  const auto since = number_of(request, "since", 0);
  const auto limit = number_of(request, "limit", usual_records);
  if (!since || !limit || *limit == 0 || *limit > most_records) {
    answer(response, 400, "since and limit are whole numbers, limit from 1 to 1000");
    return;
  }
  response.set_content(feed_.records_json(*since, *limit), "application/json");
}

void PageServer::Server::give_events(Response& response) {
  if (++streams_ > most_streams) {
    --streams_;
    answer(response, 503, "too many watch already: close a page of this run, then try again");
    return;
  }
  auto number = std::make_shared<std::uint64_t>(0);
  response.set_content_provider(  // of any length, up to the connection's end
      "text/event-stream",
      [this, number](std::size_t, httplib::DataSink& sink) { return send_next(sink, *number); },
      [this](bool) { --streams_; });
}

/// A client that took its time gets the latest, not all that it missed.
bool PageServer::Server::send_next(httplib::DataSink& sink, std::uint64_t& number) const {
  const auto snapshot = feed_.newer_than(number, sign_of_life);
  if (snapshot) {
    number = snapshot->number;
    const std::string event = "data: " + snapshot->page + "\n\n";
    return sink.write(event.data(), event.size());
  }
  if (feed_.is_closed()) {
    sink.done();
    return true;
  }
  constexpr std::string_view comment = ":\n\n";
  return sink.write(comment.data(), comment.size());
}

bool PageServer::Server::process_and_close_socket(int socket) {
  {
    const std::scoped_lock lock(mutex_);
    sockets_.insert(socket);
  }
  ClientStream stream(socket);
  bool closed = false;
  const bool good = process_request(stream, true, closed, nullptr);
  const std::scoped_lock lock(mutex_);
  sockets_.erase(sockets_.find(socket));
  left_.notify_all();
  ::shutdown(socket, SHUT_RDWR);
  ::close(socket);
  return good;
}

PageServer::PageServer(Feed& feed, std::uint16_t port)
    : server_(std::make_unique<Server>(feed, port)) {}
PageServer::~PageServer() = default;

int PageServer::port() const {
  return server_->port();
}

}  // namespace aatgs::monitor
