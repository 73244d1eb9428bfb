#include "train.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <optional>

#include <unistd.h>

#include <xgrad/core/array.hpp>
#include <xgrad/core/error.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/core/threads.hpp>
#include <xgrad/optim/schedule.hpp>

#include "corpus.hpp"
#include "interrupt.hpp"
#include "model_file.hpp"
#include "progress.hpp"
#include "score.hpp"
#include "trainer.hpp"

namespace text_generation {

using xgrad::Error;
using xgrad::Tensor;

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

Tensors copies(const Tensors& tensors) {
  Tensors result;
  for (const auto& [name, tensor] : tensors) result[name] = Tensor(tensor.value<float>());
  return result;
}

bool all_finite(const Tensors& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const auto& entry) {
    const float* values = entry.second.template data<float>();
    return std::all_of(values, values + entry.second.size(),
                       [](float x) { return std::isfinite(x); });
  });
}

/// The settings of a model whose training goes on: those it has, but for what the user asks for.
/// `new_schedule` becomes the reason, if there is one, why the old schedule cannot go on.
Settings resume_settings(const TrainOptions& options, const ModelFile& file,
                         std::string& new_schedule) {
  const auto asked = options.settings.to_text();
  auto settings = file.settings.to_text();
  for (const std::string& name : options.given) {
    if (asked.at(name) == settings.at(name)) continue;
    if (Settings::shapes_model(name)) {
      throw Error("--" + name + " " + asked.at(name) + ": " + options.resume + " was made with " +
                  settings.at(name) + ", and the shape of a model cannot change");
    }
    if (new_schedule.empty()) {
      new_schedule = "--" + name + " was " + settings.at(name) + " before";
    }
    settings[name] = asked.at(name);
  }
  const std::string plan = options.length.to_string();
  const bool same_length =
      plan.empty() || plan == file.training.plan || options.length.steps == file.training.steps;
  if (new_schedule.empty() && !same_length) new_schedule = "the length was another";
  return Settings::from_text(settings, options.resume);
}

/// A training from its start, or from a file, to its end.
class Run {
 public:
  Run(const TrainOptions& options, std::ostream& out, std::ostream& log)
      : options_(options), out_(out), log_(log) {}

  Outcome operator()() {
    const Clock::time_point start = Clock::now();
    xgrad::set_threads(1);  // the threads are ours: each takes part of the batch
    std::optional<ModelFile> old = read_resumed();
    read_text(old);
    if (old && old->training.finished && new_schedule_.empty()) return finished_before(*old);
    const bool goes_on = old && choose_schedule(*old);
    if (!goes_on && !make_plan(old, seconds_since(start))) {
      log_ << "Interrupted before the first step.\n";
      return Outcome::interrupted;
    }
    xgrad::seed(settings_.seed);
    if (old) old->settings = settings_;
    LanguageModel model =
        old ? make_model(*old, options_.resume) : LanguageModel(vocabulary_->size(), settings_);
    Trainer trainer(settings_, model, split_.training, options_.threads);
    if (goes_on) {
      trainer.load(record_, options_.resume);
    } else if (old) {
      trainer.load_moments(old->training, options_.resume);
    }
    describe(model);
    return loop(model, trainer);
  }

 private:
  std::optional<ModelFile> read_resumed() const {
    if (options_.resume.empty()) return std::nullopt;
    return read_model(options_.resume, Part::everything);
  }

  void read_text(const std::optional<ModelFile>& old) {
    settings_ = old ? resume_settings(options_, *old, new_schedule_) : options_.settings;
    record_.corpus = options_.corpus.empty() ? old->training.corpus : options_.corpus;
    const std::u32string text = read_corpus(record_.corpus);
    const std::size_t training = training_size(text.size(), settings_.validation_fraction);
    record_.fingerprint = fingerprint(text);
    if (old && new_schedule_.empty() && record_.fingerprint != old->training.fingerprint) {
      new_schedule_ = "the text of the corpus is another";
    }
    if (old && old->training.finished && !new_schedule_.empty()) {
      new_schedule_ = "its training is finished";
    }
    vocabulary_ = old ? old->vocabulary : Vocabulary(text);
    indices_ = vocabulary_->encode(text, "the corpus");
    const std::span<const std::int64_t> all(indices_);
    split_ = {all.first(training), all.subspan(training)};
    log_ << "Corpus: " << text.size() << " characters, " << training << " for training and "
         << text.size() - training << " for validation; " << vocabulary_->size()
         << " different ones\n";
  }

  /// Nothing is asked for that the file does not have.
  Outcome finished_before(const ModelFile& old) {
    make_model(old, options_.resume);  // throws if it is damaged
    if (options_.out != options_.resume) write_model(options_.out, old);
    record_ = old.training;
    log_ << options_.resume << ": its training (" << record_.plan
         << ") is finished. Another --minutes, --epochs or --steps trains it further." << std::endl;
    show_results();
    return Outcome::finished;
  }

  /// True if the training goes on where it was interrupted.
  bool choose_schedule(const ModelFile& old) {
    const TrainingRecord& training = old.training;
    if (new_schedule_.empty()) {
      const auto corpus = record_.corpus;  // the same text, perhaps elsewhere now
      record_ = training;
      record_.corpus = corpus;
      // The score of the last validation is not in the file: it takes place again.
      record_.validated = std::min(record_.validated, record_.steps - 1);
      log_ << options_.resume << ": going on after step " << training.done << " of "
           << training.steps << '\n';
      return true;
    }
    log_ << options_.resume << ": a new schedule starts, since " << new_schedule_
         << " (the old one was at step " << training.done << " of " << training.steps << ")\n";
    if (record_.fingerprint == training.fingerprint &&
        settings_.validation_fraction == old.settings.validation_fraction) {
      record_.best_nats = training.best_nats;
      record_.best = copies(training.finished ? old.model : training.best);
    }
    return false;
  }

  /// False if interrupted.
  bool make_plan(const std::optional<ModelFile>& old, double seconds_used) {
    Length length = options_.length;
    if (!length.given()) {
      if (old) {
        length.steps = old->training.steps;
      } else {
        length.minutes = 3;
      }
    }
    const auto steps =
        plan_steps(length, seconds_used, settings_, vocabulary_->size(), split_, options_.threads);
    if (!steps) return false;
    record_.plan = length.to_string();
    record_.steps = *steps;
    return true;
  }

  void describe(const LanguageModel& model) {
    const std::int64_t window = settings_.batch * settings_.seq_len;
    log_ << "Model: " << settings_.layers << " x " << settings_.hidden << ' ' << settings_.cell
         << " units, " << model.parameter_count() << " parameters, " << options_.threads
         << (options_.threads == 1 ? " thread\n" : " threads\n");
    char epochs[32];
    std::snprintf(
        epochs, sizeof epochs, "%.2f",
        static_cast<double>(record_.steps * window) / static_cast<double>(split_.training.size()));
    log_ << "Plan: " << record_.steps << " steps of " << settings_.batch << " x "
         << settings_.seq_len << " characters, " << epochs << " times the text";
    if (!options_.length.steps) log_ << "; the same again with --steps " << record_.steps;
    log_ << std::endl;
  }

  Outcome loop(LanguageModel& model, Trainer& trainer) {
    const auto total = static_cast<std::uint64_t>(record_.steps);
    const xgrad::optim::CosineSchedule schedule(
        {.lr = settings_.lr, .warmup = std::min<std::uint64_t>(100, total / 10), .total = total});
    const std::int64_t interval = validation_interval(settings_, split_);
    Progress progress(log_, ::isatty(STDERR_FILENO) != 0, record_.done, record_.steps,
                      trainer.windows().characters());
    save(model, trainer);
    while (!interrupted()) {
      const bool due =
          record_.done == record_.steps || (record_.done > 0 && record_.done % interval == 0);
      if (due && record_.validated != record_.done) {
        progress.finish();
        if (!validate(model)) break;
        save(model, trainer);
      }
      if (record_.done == record_.steps) break;
      const double rate = schedule.rate(static_cast<std::uint64_t>(record_.done));
      const double loss = trainer.step(record_.done, rate);
      if (!std::isfinite(loss)) {
        progress.finish();
        stop_at_nan("the loss", record_.done + 1);
      }
      ++record_.done;
      record_.loss_sum = 0.98 * record_.loss_sum + 0.02 * loss;
      record_.loss_weight = 0.98 * record_.loss_weight + 0.02;
      progress.update(record_.loss_sum / record_.loss_weight);
      if (seconds_since(saved_) >= options_.save_seconds) save(model, trainer);
    }
    progress.finish();
    if (record_.validated != record_.steps) {
      save(model, trainer);
      log_ << "Interrupted after step " << record_.done << " of " << record_.steps
           << "; saved. Go on with\n  " << shell_word(options_.program) << " train --resume "
           << shell_word(options_.out) << std::endl;
      return Outcome::interrupted;
    }
    finish(model, trainer);
    return Outcome::finished;
  }

  /// False if interrupted.
  bool validate(LanguageModel& model) {
    const auto result = score(model, split_.validation);
    if (!result) return false;
    if (!std::isfinite(result->nats)) stop_at_nan("the loss of the validation", record_.done);
    last_ = *result;
    record_.validated = record_.done;
    if (record_.done < record_.steps) {
      log_ << "Validation after step " << record_.done << ": " << result->to_string() << std::endl;
    }
    if (result->nats < record_.best_nats) {
      record_.best_nats = result->nats;
      record_.best = copies(parameter_values(model));
    }
    return true;
  }

  void save(const LanguageModel& model, const Trainer& trainer) {
    ModelFile file{.settings = settings_,
                   .vocabulary = *vocabulary_,
                   .model = parameter_values(model),
                   .training = record_};
    if (!all_finite(file.model)) stop_at_nan("a weight", record_.done);
    trainer.save(file.training);
    write_model(options_.out, file);
    saved_ = Clock::now();
    saved_step_ = record_.done;
  }

  [[noreturn]] void stop_at_nan(const std::string& what, std::int64_t step) const {
    throw Error(what + " is no longer a finite number at step " + std::to_string(step) + " of " +
                std::to_string(record_.steps) + "; " + options_.out +
                " holds the model after step " + std::to_string(saved_step_) +
                ". A smaller --lr may help");
  }

  void finish(LanguageModel& model, Trainer& trainer) {
    assign_parameters(model, record_.best, options_.out);
    record_.best.clear();
    record_.finished = true;
    save(model, trainer);
    if (last_.nats > record_.best_nats) {
      out_ << "The last weights validated worse (nats=" << last_.nats
           << ") than earlier ones, which are kept.\n";
    }
    show_results();
  }

  void show_results() const {
    const Score training{record_.loss_sum / record_.loss_weight,
                         record_.steps * settings_.batch * settings_.seq_len};
    const Score validation{record_.best_nats, std::ssize(split_.validation) - 1};
    out_ << "model: " << options_.out << '\n'
         << "training: " << training.to_string() << '\n'
         << "validation: " << validation.to_string() << std::endl;
  }

  const TrainOptions& options_;
  std::ostream& out_;
  std::ostream& log_;
  Settings settings_;
  std::optional<Vocabulary> vocabulary_;
  std::vector<std::int64_t> indices_;
  Split split_;
  std::string new_schedule_;  // why there is one
  TrainingRecord record_;
  Score last_{};
  Clock::time_point saved_;
  std::int64_t saved_step_ = 0;
};

}  // namespace

Outcome train(const TrainOptions& options, std::ostream& out, std::ostream& log) {
  const InterruptGuard guard;
  return Run(options, out, log)();
}

std::string shell_word(const std::string& word) {
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("-_./+=:,@%").find(static_cast<char>(c)) != std::string_view::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string result = "'";
  for (const char c : word) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

}  // namespace text_generation
