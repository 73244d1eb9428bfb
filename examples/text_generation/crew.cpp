#include "crew.hpp"

namespace text_generation {

Crew::Crew(int threads) : threads_(threads) {
  for (int thread = 1; thread < threads; ++thread) {
    helpers_.emplace_back([this, thread] { work(thread); });
  }
}

Crew::~Crew() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void Crew::run(int parts, const std::function<void(int)>& f) {
  {
    const std::lock_guard lock(mutex_);
    task_ = &f;
    parts_ = parts;
    busy_ = threads_ - 1;
    error_ = nullptr;
    ++round_;
  }
  changed_.notify_all();
  run_parts_of(0);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return busy_ == 0; });
  if (error_) std::rethrow_exception(error_);
}

void Crew::work(int thread) {
  unsigned seen = 0;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stop_ || round_ != seen; });
      if (stop_) return;
      seen = round_;
    }
    run_parts_of(thread);
    {
      const std::lock_guard lock(mutex_);
      --busy_;
    }
    changed_.notify_all();
  }
}

void Crew::run_parts_of(int thread) {
  for (int part = thread; part < parts_; part += threads_) {
    try {
      (*task_)(part);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }
}

}  // namespace text_generation
