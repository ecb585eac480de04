// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <httplib.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>

namespace aatgs::monitor {

/// A client's connection for one request, with limits that httplib 0.11 does not have: on all that
/// is read, and on the time of reading it and of each write.
class ClientStream : public httplib::Stream {
 public:
  static constexpr std::size_t most_bytes = 1 << 14;
  static constexpr std::chrono::seconds patience{2};

  /// What waits for a client inside the kernel is limited too. Does not close it.
  explicit ClientStream(int socket) : socket_(socket) {
    constexpr int send_buffer = 1 << 16;
    ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
  }

  [[nodiscard]] bool is_readable() const override { return at_ < end_ || waits(POLLIN, deadline_); }

  /// Whether the client is still there.
  [[nodiscard]] bool is_writable() const override {
    char byte = 0;
    const ssize_t got = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
  }

  ssize_t read(char* to, std::size_t size) override {
    if (at_ == end_ && !refill()) return -1;
    const std::size_t count = std::min(size, end_ - at_);
    std::copy_n(&buffer_[at_], count, to);
    at_ += count;
    return static_cast<ssize_t>(count);
  }

  ssize_t write(const char* from, std::size_t size) override {
    const auto deadline = Clock::now() + patience;
    for (std::size_t sent = 0; sent < size;) {
      const ssize_t count = ::send(socket_, from + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count > 0) {
        sent += static_cast<std::size_t>(count);
      } else if ((errno != EAGAIN && errno != EINTR) || !waits(POLLOUT, deadline)) {
        return -1;
      }
    }
    return static_cast<ssize_t>(size);
  }

  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  [[nodiscard]] int socket() const override { return socket_; }

 private:
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] bool waits(short what, Clock::time_point deadline) const {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd poll{socket_, what, 0};
    return left.count() > 0 && ::poll(&poll, 1, static_cast<int>(left.count())) > 0;
  }

  bool refill() {
    if (total_ >= most_bytes || !waits(POLLIN, deadline_)) return false;
    const ssize_t count = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    at_ = 0;
    end_ = count > 0 ? static_cast<std::size_t>(count) : 0;
    total_ += end_;
    return end_ > 0;
  }

  int socket_;
  Clock::time_point deadline_ = Clock::now() + patience;  // of reading
  std::array<char, 4096> buffer_{};
  std::size_t at_ = 0, end_ = 0, total_ = 0;
};

}  // namespace aatgs::monitor
