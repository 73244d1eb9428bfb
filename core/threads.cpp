#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <xgrad/core/error.hpp>
#include <xgrad/core/gemm.hpp>
#include <xgrad/core/threads.hpp>

namespace xgrad {
namespace {

/// Threads that take the parts of one task at a time. They spin for a moment before they sleep,
/// since the products of a recurrent step follow each other within microseconds. The caller takes
/// parts too, and waits only for parts that somebody has taken: a thread that the system does not
/// run holds nobody up.
class Workers {
 public:
  explicit Workers(int helpers) {
    for (int i = 0; i < helpers; ++i) helpers_.emplace_back([this] { work(); });
  }

  ~Workers() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& helper : helpers_) helper.join();
  }

  void run(Index parts, const std::function<void(Index)>& f) {
    const std::lock_guard one_task(task_mutex_);
    task_ = &f;
    error_ = nullptr;
    done_.store(0, std::memory_order_relaxed);
    {
      const std::lock_guard lock(mutex_);  // so that nobody falls asleep without seeing it
      ticket_.store({++task_number_, static_cast<std::uint32_t>(parts), 0});
    }
    if (sleeping_.load() > 0) wake_.notify_all();
    take_parts();
    for (int i = 0; done_.load(std::memory_order_acquire) < parts; ++i) pause(i);
    if (error_) std::rethrow_exception(error_);
  }

  static constexpr Index most_parts = (1 << 20) - 1;

 private:
  static constexpr int spins = 20000;            // before a thread lets others run
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

  static void pause(int round) {
    if (round > spins) return std::this_thread::yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }

  void take_parts() {
    for (;;) {
      Ticket ticket = ticket_.load(std::memory_order_acquire);
      if (!ticket.open()) return;
      Ticket next = ticket;
      next.next = (ticket.next + 1) & 0xfffff;
      if (!ticket_.compare_exchange_weak(ticket, next, std::memory_order_acq_rel)) continue;
      try {
        (*task_)(static_cast<Index>(ticket.next));
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
      }
      done_.fetch_add(1, std::memory_order_release);
    }
  }

  void work() {
    for (;;) {
      for (int i = 0; i < awake_spins && !ticket_.load(std::memory_order_relaxed).open(); ++i)
        pause(i);
      if (!ticket_.load(std::memory_order_relaxed).open()) {
        std::unique_lock lock(mutex_);
        ++sleeping_;
        wake_.wait(lock, [&] { return stop_ || ticket_.load().open(); });
        --sleeping_;
        if (stop_) return;
      }
      take_parts();
    }
  }

  std::vector<std::thread> helpers_;
  std::mutex task_mutex_;  ///< held while a task runs
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<Ticket> ticket_{Ticket(0, 0, 0)};
  std::atomic<Index> done_{0};
  std::atomic<int> sleeping_{0};
  std::uint32_t task_number_ = 0;
  const std::function<void(Index)>* task_ = nullptr;
  std::exception_ptr error_;
  bool stop_ = false;
};

std::mutex workers_mutex;
std::shared_ptr<Workers> workers;  // null: one thread
std::atomic<int> thread_count{1};
thread_local bool inside_part = false;

}  // namespace

void set_threads(int n) {
  if (n < 1) throw Error("set_threads: n is " + std::to_string(n) + ": it must be at least 1");
  const std::lock_guard lock(workers_mutex);
  detail::use_one_blas_thread();
  workers = n > 1 ? std::make_shared<Workers>(n - 1) : nullptr;
  thread_count = n;
}

int threads() { return thread_count.load(std::memory_order_relaxed); }

namespace detail {

void run_parts(Index parts, const std::function<void(Index)>& f) {
  std::shared_ptr<Workers> team;
  if (parts > 1 && parts <= Workers::most_parts && threads() > 1 && !inside_part) {
    const std::lock_guard lock(workers_mutex);
    team = workers;
  }
  if (!team) {
    for (Index part = 0; part < parts; ++part) f(part);
    return;
  }
  const std::function<void(Index)> marked = [&f](Index part) {
    inside_part = true;
    try {
      f(part);
    } catch (...) {
      inside_part = false;
      throw;
    }
    inside_part = false;
  };
  team->run(parts, marked);
}

}  // namespace detail
}  // namespace xgrad
