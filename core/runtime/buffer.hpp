#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <xgrad/core/runtime/join.hpp>

namespace xgrad::detail {

/// A pointer to an object with an atomic `references` member and a static `destroy(T*)`.
template <class T>
class Ref {
 public:
  Ref() = default;
  explicit Ref(T* owned) : object_(owned) {}  ///< takes over one reference
  Ref(const Ref& other) : object_(other.object_) {
    if (object_) object_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ && object_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      T::destroy(object_);
    }
  }

  T* get() const { return object_; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }
  friend bool operator==(const Ref& a, const Ref& b) { return a.object_ == b.object_; }

 private:
  T* object_ = nullptr;
};

/// A block of tensor memory; the data follows the header.
struct alignas(64) Buffer {
  std::atomic<std::uint32_t> references{1};

  static Ref<Buffer> allocate(std::size_t bytes);
  static void destroy(Buffer* buffer) noexcept;
  std::byte* address() { return reinterpret_cast<std::byte*>(this + 1); }  ///< not to be read yet
  std::byte* data() {
    join();
    return address();
  }
};

}  // namespace xgrad::detail
