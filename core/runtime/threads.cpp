#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <cblas.h>
#include <pthread.h>

#include <xgrad/core/error.hpp>
#include <xgrad/core/runtime/join.hpp>
#include <xgrad/core/runtime/parallel.hpp>
#include <xgrad/core/threads.hpp>

namespace xgrad {
namespace {

thread_local bool inside_part = false;
thread_local int own_number = 0;  // of a helper

std::mutex error_mutex;
std::exception_ptr part_error;  // of a launched task: the first that join() has not thrown yet

detail::PartCounts& counts = detail::part_counts;

constexpr int patience = 32;  // spins before a caller computes what no helper has begun
constexpr int spins = 20000;  // before a thread lets others run

void pause(int round) {
  if (round > spins) return std::this_thread::yield();
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Threads that take the parts of one task at a time. They spin for a moment before they sleep,
/// since the products of a recurrent step follow each other within microseconds. The caller takes
/// the first part and in the end those that nobody has begun: a thread that the system does not run
/// holds nobody up.
///
/// A cache line takes up to a quarter of a microsecond from one core to another, a tenth of a short
/// task. Hence a helper reads a short task from the very line that it watches, and the caller
/// watches another one, which only helpers write.
class Workers {
 public:
  explicit Workers(int helpers) {
    try {
      for (int i = 0; i < helpers; ++i) {
        helpers_.emplace_back([this, i] {
          own_number = i + 1;
          work();
        });
      }
    } catch (...) {  // the system has no more threads
      stop();
      throw;
    }
  }
  ~Workers() {
    finish();
    stop();
  }

  /// Computes part 0 and leaves the others to helpers, or to `finish`. For one caller at a time,
  /// as all of these functions are.
  void launch(Index parts, detail::CallPart call, const void* f, std::size_t copied,
              detail::Wait wait = detail::Wait::later) {
    finish();  // the last task, which helpers still read
    if (counts.failed) detail::throw_part_error();
    task_.wait = wait;
    task_.call = call;
    task_.f = copied > 0 ? std::memcpy(task_.copy, f, copied) : f;
    task_.ticket.store({++task_number_, static_cast<std::uint32_t>(parts), 1},
                       std::memory_order_release);
    // Who falls asleep at this moment is not needed for this task, and woken by the next.
    if (sleeping_.load(std::memory_order_relaxed) > 0) wake();
    compute(0);
    counts.expected.store(counts.expected.load(std::memory_order_relaxed) + parts - 1,
                          std::memory_order_relaxed);
  }

  /// Computes what no helper has begun and waits for the rest.
  void finish() {
    if (counts.all_finished()) return;
    for (Index part; (part = next_part()) >= 0;) {
      compute(part);
      counts.finished.fetch_add(1, std::memory_order_release);
    }
    for (int i = 0; !counts.all_finished(); ++i) pause(i);
  }

  void run(Index parts, detail::CallPart call, const void* f, std::size_t copied) {
    launch(parts, call, f, copied, detail::Wait::now);
    finish();
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

  static constexpr Index most_parts = (1 << 20) - 1;

 private:
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
  }

  static constexpr int awake_spins = 4 * spins;  // before it sleeps: to be woken takes longer

  /// The current task and its next part, in one word: a part can only be taken of the task that is
  /// running.
  struct Ticket {
    std::uint64_t task : 24;
    std::uint64_t parts : 20;
    std::uint64_t next : 20;
    Ticket(std::uint32_t number, std::uint32_t count, std::uint32_t at)
        : task(number & 0xffffff), parts(count & 0xfffff), next(at & 0xfffff) {}
    bool open() const { return next < parts; }
  };

  struct Task {
    std::atomic<Ticket> ticket{Ticket(0, 0, 0)};
    detail::Wait wait;
    detail::CallPart call;
    const void* f;
    alignas(8) std::byte copy[detail::largest_copied_function];
  };

  /// Takes a part of the current task; -1 if all are taken.
  Index next_part() {
    Ticket ticket = task_.ticket.load(std::memory_order_acquire);
    while (ticket.open()) {
      Ticket next = ticket;
      next.next = (ticket.next + 1) & 0xfffff;
      if (task_.ticket.compare_exchange_weak(ticket, next, std::memory_order_acq_rel)) {
        return static_cast<Index>(ticket.next);
      }
    }
    return -1;
  }

  /// A part of the current task.
  void compute(Index part) {
    const bool was_inside = std::exchange(inside_part, true);
    try {
      task_.call(task_.f, part);
    } catch (...) {
      const std::lock_guard lock(error_mutex);
      std::exception_ptr& error = task_.wait == detail::Wait::now ? error_ : part_error;
      if (!error) error = std::current_exception();
      counts.failed = part_error != nullptr;
    }
    inside_part = was_inside;
  }

  void wake() {
    { const std::lock_guard lock(mutex_); }  // nobody is about to sleep without having seen it
    wake_.notify_all();
  }

  bool has_work() const { return task_.ticket.load(std::memory_order_relaxed).open(); }

  void work() {
    inside_part = true;
    for (;;) {
      for (int i = 0; i < awake_spins && !has_work() && !stop_; ++i) pause(i);
      if (!has_work()) {
        std::unique_lock lock(mutex_);
        ++sleeping_;
        const std::uint64_t last = task_.ticket.load().task;
        wake_.wait(lock, [&] {  // or too late for a task: the next one is not far
          const Ticket ticket = task_.ticket.load();
          return stop_ || ticket.open() || ticket.task != last;
        });
        --sleeping_;
        if (stop_) return;
      }
      for (Index part; (part = next_part()) >= 0;) {
        compute(part);
        counts.finished.fetch_add(1, std::memory_order_release);
      }
    }
  }

  alignas(64) Task task_;
  alignas(64) std::uint32_t task_number_ = 0;
  std::vector<std::thread> helpers_;
  std::exception_ptr error_;
  std::condition_variable wake_;
  std::mutex mutex_;
  alignas(64) std::atomic<int> sleeping_{0};
  std::atomic<bool> stop_{false};
};

std::mutex workers_mutex;          // held while a task runs
std::unique_ptr<Workers> workers;  // null: one thread
std::atomic<int> thread_count{1};

// A forked process has none of the threads, and cannot wait for them to end. Kept, not destroyed.
Workers* left_behind = nullptr;

// The task of a part that forks holds the mutex: that child can only execute another program.
void before_fork() {
  if (inside_part) return;
  workers_mutex.lock();
  if (workers) workers->finish();
}
void after_fork_in_parent() {
  if (!inside_part) workers_mutex.unlock();
}
void after_fork_in_child() {
  if (inside_part) return;
  if (workers) left_behind = workers.release();
  thread_count = 1;
  workers_mutex.unlock();
}

}  // namespace

detail::PartCounts detail::part_counts;

void detail::wait_for_parts() noexcept {
  if (inside_part) return;  // what another thread computes is not read there
  for (int i = 0; !counts.all_finished(); ++i) {
    if (i % patience == patience - 1) {
      const std::unique_lock lock(workers_mutex, std::try_to_lock);
      if (lock && workers) workers->finish();
    }
    pause(i);
  }
}

void detail::throw_part_error() {
  std::exception_ptr error;
  {
    const std::lock_guard lock(error_mutex);
    error = std::exchange(part_error, nullptr);
    counts.failed = false;
  }
  if (error) std::rethrow_exception(error);
}

void set_threads(int n) {
  if (n < 1) throw Error("set_threads: n is " + std::to_string(n) + ": it must be at least 1");
  if (inside_part) throw Error("set_threads: called by an op that threads are computing");
  const std::lock_guard lock(workers_mutex);
  [[maybe_unused]] static const bool forks = [] {
    const int error = ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    if (error == ENOMEM) throw std::bad_alloc();
    if (error != 0) throw std::system_error(error, std::generic_category(), "set_threads");
    return true;
  }();
  auto started = n > 1 ? std::make_unique<Workers>(n - 1) : nullptr;
  openblas_set_num_threads(1);
  workers = std::move(started);
  thread_count = n;
}

int threads() { return thread_count.load(std::memory_order_acquire); }

namespace detail {

int helper_number() { return own_number; }

void run_parts(Index parts, CallPart call, const void* f, std::size_t copied, Wait wait) {
  if (parts > 1 && parts <= Workers::most_parts && threads() > 1 && !inside_part) {
    const std::unique_lock lock(workers_mutex, std::try_to_lock);
    if (lock && workers) {
      if (wait == Wait::later) return workers->launch(parts, call, f, copied);
      return workers->run(parts, call, f, copied);
    }
  }
  join();
  for (Index part = 0; part < parts; ++part) call(f, part);
}

}  // namespace detail
}  // namespace xgrad
