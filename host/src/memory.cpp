// SPDX-License-Identifier: Apache-2.0
#include <aatgs/host/memory.hpp>
#include <aatgs/runtime/platform.hpp>
#include <cstring>
#include <new>
#include <utility>

#include "gpu_memory.hpp"

namespace aatgs {

namespace {

void* allocate_host(std::size_t bytes) {
  void* data = ::operator new(bytes, std::align_val_t(line_bytes), std::nothrow);
  if (data == nullptr) {
    throw DeviceError("allocating " + std::to_string(bytes) +
                          " bytes of host memory failed: free some, or ask for fewer slots or a "
                          "smaller Buffer",
                      "cudaErrorMemoryAllocation");
  }
  std::memset(data, 0, bytes);
  return data;
}

}  // namespace

struct Memory::Stream : gpu::CopyStream {
  using CopyStream::CopyStream;
};

Memory::Memory(MemoryKind kind, std::size_t bytes, int device)
    : kind_(kind), bytes_(bytes), device_(device) {
  if (bytes == 0) return;
  switch (kind) {
    case MemoryKind::host:
      data_ = allocate_host(bytes);
      break;
    case MemoryKind::mapped:
      data_ = gpu::allocate_mapped(bytes, device);
      break;
    case MemoryKind::device:
      stream_ = std::make_unique<Stream>(device);
      data_ = stream_->allocate(bytes);
      break;
  }
}

Memory::~Memory() {
  release();
}

Memory::Memory(Memory&& other) noexcept
    : kind_(other.kind_),
      bytes_(std::exchange(other.bytes_, 0)),
      device_(other.device_),
      data_(std::exchange(other.data_, nullptr)),
      stream_(std::move(other.stream_)) {}

Memory& Memory::operator=(Memory&& other) noexcept {
  if (this == &other) return *this;
  release();
  kind_ = other.kind_;
  bytes_ = std::exchange(other.bytes_, 0);
  device_ = other.device_;
  data_ = std::exchange(other.data_, nullptr);
  stream_ = std::move(other.stream_);
  return *this;
}

void Memory::release() noexcept {
  if (data_ == nullptr) return;
  switch (kind_) {
    case MemoryKind::host:
      ::operator delete(data_, std::align_val_t(line_bytes));
      break;
    case MemoryKind::mapped:
      gpu::release_mapped(data_, device_);
      break;
    case MemoryKind::device:
      stream_->release(data_);
      break;
  }
}

void Memory::abandon() noexcept {
  data_ = nullptr;
  bytes_ = 0;
  (void)stream_.release();
}

void Memory::upload(const void* from, std::size_t bytes, std::size_t offset) {
  if (bytes == 0) return;
  auto* to = static_cast<std::byte*>(data_) + offset;
  if (kind_ == MemoryKind::device) {
    stream_->copy(to, from, bytes);
  } else {
    std::memcpy(to, from, bytes);
  }
}

void Memory::download(void* to, std::size_t bytes, std::size_t offset) const {
  if (bytes == 0) return;
  const auto* from = static_cast<const std::byte*>(data_) + offset;
  if (kind_ == MemoryKind::device) {
    stream_->copy(to, from, bytes);
  } else {
    std::memcpy(to, from, bytes);
  }
}

}  // namespace aatgs
