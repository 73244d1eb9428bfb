#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <numeric>
#include <random>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include <xgrad/nn/files/safetensors.hpp>

#include "examples/process.hpp"

// The program is run as a user runs it; nothing of its inside is known here.
namespace {

namespace fs = std::filesystem;
using xgrad::testing::Ended;
using xgrad::testing::Process;
using xgrad::testing::run;
using xgrad::testing::slurp;
using xgrad::testing::spill;

using Words = std::vector<std::string>;

const std::string program = std::string(XGRAD_EXAMPLES_DIR) + "/text_generation";

Words command(const Words& arguments) {
  Words words{program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// Words in random order, some of them of several bytes: easy to learn a little of.
std::string sample_text(std::size_t words, unsigned seed = 1) {
  const Words list{"the", "tape",         "runs",       "back",
                   "and", "\u4e2d\u6587", "na\u00efve", "\U0001f600"};
  std::mt19937 random(seed);
  std::string text;
  for (std::size_t i = 0; i < words; ++i)
    text += list[random() % list.size()] + (i % 9 ? " " : "\n");
  return text;
}

/// So many letters in random order.
std::string sample_ascii(std::size_t letters) {
  std::mt19937 random(6);
  std::string text;
  for (std::size_t i = 0; i < letters; ++i) text += static_cast<char>('a' + random() % 8);
  return text;
}

std::size_t code_points(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

/// The byte at which the code point with this number starts.
std::size_t byte_of(const std::string& text, std::size_t code_point) {
  std::size_t byte = 0;
  for (std::size_t seen = 0; byte < text.size(); ++byte) {
    if ((static_cast<unsigned char>(text[byte]) & 0xC0) != 0x80 && seen++ == code_point) break;
  }
  return byte;
}

/// What follows `label` on the last line.
std::string last_line(const std::string& out, const std::string& label) {
  const std::size_t end = out.empty() ? 0 : out.size() - 1;
  const std::size_t begin = out.rfind('\n', end == 0 ? 0 : end - 1) + 1;
  const std::string line = out.substr(begin, end - begin);
  EXPECT_TRUE(out.ends_with('\n') && line.starts_with(label)) << out;
  return line.substr(std::min(label.size(), line.size()));
}

double value_of(const std::string& scores, const std::string& name) {
  std::smatch match;
  const bool found = std::regex_search(scores, match, std::regex(name + "=([-0-9.einfa]+)"));
  EXPECT_TRUE(found) << scores;
  return found ? std::stod(match[1]) : std::nan("");
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class TextGenerationTest : public testing::Test {
 protected:
  TextGenerationTest() { spill(folder / "text", text); }

  /// The arguments of a small training; later ones replace earlier ones.
  Words training(const std::string& out, const Words& more = {}) const {
    std::map<std::string, std::string> options{{"--corpus", folder / "text"},
                                               {"--out", folder / out},
                                               {"--hidden", "24"},
                                               {"--embedding", "8"},
                                               {"--batch", "4"},
                                               {"--seq-len", "12"},
                                               {"--steps", "25"},
                                               {"--threads", "1"}};
    for (std::size_t i = 0; i + 1 < more.size(); i += 2) options[more[i]] = more[i + 1];
    Words words{"train"};
    for (const auto& [name, value] : options) {
      if (!value.empty()) words = words + Words{name, value};
    }
    return words;
  }

  Ended train(const std::string& out, const Words& more = {}) const {
    Ended ended = run(command(training(out, more)));
    EXPECT_EQ(ended.status, 0) << ended.err;
    return ended;
  }

  /// Runs it, expects a plain error message with this in it, and no other output.
  void expect_error(const Words& arguments, const std::string& part, int status = 1) const {
    const Ended ended = run(command(arguments));
    SCOPED_TRACE(part);
    EXPECT_EQ(ended.signal, 0);
    EXPECT_EQ(ended.status, status) << ended.err;
    EXPECT_TRUE(contains(ended.err, part)) << ended.err;
    EXPECT_EQ(ended.out, "");
  }

  std::string generate(const Words& more) const {
    const Ended ended = run(command(Words{"generate", folder / "model"} + more));
    EXPECT_EQ(ended.status, 0) << ended.err;
    return ended.out;
  }

  xgrad::testing::TemporaryFolder folder;
  const std::string text = sample_text(400);
};

TEST_F(TextGenerationTest, TrainEndsWithTheValidationOfTheRestOfTheText) {
  const Ended ended = train("model", {"--validation-fraction", "0.23"});
  const std::string scores = last_line(ended.out, "validation: ");
  EXPECT_TRUE(std::regex_match(
      scores,
      std::regex(R"(nats=\d+\.\d{4} bits=\d+\.\d{4} perplexity=\d+\.\d{3} characters=\d+)")))
      << scores;
  const double nats = value_of(scores, "nats");
  EXPECT_NEAR(value_of(scores, "bits"), nats / std::log(2.0), 1e-4);
  EXPECT_NEAR(value_of(scores, "perplexity"), std::exp(nats), 1e-2);

  // The split counts code points, and the first one of the rest is not predicted.
  const auto n = static_cast<double>(code_points(text));
  const auto begin = static_cast<std::size_t>(std::floor(n * (1 - 0.23)));
  const std::string rest = text.substr(byte_of(text, begin));
  EXPECT_EQ(value_of(scores, "characters"), static_cast<double>(code_points(rest) - 1));
  spill(folder / "rest", rest);
  const Ended evaluated = run(command({"evaluate", folder / "model", folder / "rest"}));
  EXPECT_EQ(last_line(evaluated.out, "evaluation: "), scores);
}

/// Mean negative log-likelihood of a text of one-byte characters under a saved LSTM: the equations
/// written out, one character after the other.
double nats_by_hand(const std::string& path, const std::string& text) {
  const auto file = xgrad::nn::read_safetensors(path, "model.");
  const auto values = [&](const std::string& name) {
    return file.tensors.at("model." + name).to_vector();
  };
  const std::string& vocabulary = file.metadata.at("vocabulary");
  const auto table = values("embedding"), wx = values("lstm.layer0.Wx"),
             wh = values("lstm.layer0.Wh"), b = values("lstm.layer0.b"), out = values("head.W"),
             bias = values("head.b");
  const std::size_t classes = vocabulary.size(), hidden = b.size() / 4,
                    width = table.size() / classes;
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  std::vector<double> h(hidden), c(hidden);
  double total = 0;
  for (std::size_t t = 0; t + 1 < text.size(); ++t) {
    const std::size_t now = vocabulary.find(text[t]), next = vocabulary.find(text[t + 1]);
    std::vector<double> z = b;
    for (std::size_t j = 0; j < 4 * hidden; ++j) {
      for (std::size_t i = 0; i < width; ++i)
        z[j] += table[now * width + i] * wx[i * 4 * hidden + j];
      for (std::size_t i = 0; i < hidden; ++i) z[j] += h[i] * wh[i * 4 * hidden + j];
    }
    for (std::size_t i = 0; i < hidden; ++i) {
      c[i] = sigmoid(z[hidden + i]) * c[i] + sigmoid(z[i]) * std::tanh(z[2 * hidden + i]);
      h[i] = sigmoid(z[3 * hidden + i]) * std::tanh(c[i]);
    }
    std::vector<double> logits = bias;
    double sum = 0;
    for (std::size_t k = 0; k < classes; ++k) {
      for (std::size_t i = 0; i < hidden; ++i) logits[k] += h[i] * out[i * classes + k];
      sum += std::exp(logits[k]);
    }
    total += std::log(sum) - logits[next];
  }
  return total / static_cast<double>(text.size() - 1);
}

TEST_F(TextGenerationTest, EvaluateCarriesTheStateFromStartToEnd) {
  // Each letter comes again 40 places later, which takes a memory.
  std::mt19937 random(5);
  std::string letters;
  for (int i = 0; i < 2000; ++i) {
    letters += i < 40 ? static_cast<char>('a' + random() % 8) : letters[letters.size() - 40];
  }
  spill(folder / "letters", letters);
  train("model", {"--corpus", folder / "letters", "--steps", "400", "--lr", "0.02"});
  const Ended ended = run(command({"evaluate", folder / "model", folder / "letters"}));
  const double nats = value_of(last_line(ended.out, "evaluation: "), "nats");
  EXPECT_NEAR(nats, nats_by_hand(folder / "model", letters), 1e-4);
}

TEST_F(TextGenerationTest, TrainingCarriesTheStateFromWindowToWindow) {
  // A step sees two characters; when the next "b" comes is told by the four before.
  std::string cycle;
  for (int i = 0; i < 400; ++i) cycle += "aaaab";
  spill(folder / "cycle", cycle);
  const Ended ended = train("model", {"--corpus", folder / "cycle", "--seq-len", "2", "--steps",
                                      "3000", "--lr", "0.01", "--dropout", "0"});
  EXPECT_LT(value_of(last_line(ended.out, "validation: "), "nats"), 0.1);
}

TEST_F(TextGenerationTest, EveryCellLearns) {
  // Only the place in a sequence of six tells what follows "a".
  std::string cycle;
  for (int i = 0; i < 200; ++i) cycle += "abacad";
  spill(folder / "cycle", cycle);
  for (const Words& cell : {Words{"--cell", "lstm"}, Words{"--cell", "gru", "--layers", "2"},
                            Words{"--cell", "rnn", "--embedding", "0", "--dropout", "0"}}) {
    SCOPED_TRACE(cell[1]);
    const Ended ended = train(
        "model", Words{"--corpus", folder / "cycle", "--steps", "250", "--lr", "0.02"} + cell);
    EXPECT_LT(value_of(last_line(ended.out, "validation: "), "nats"), 0.05);
    EXPECT_EQ(generate({"--prompt", "abacad", "--length", "13", "--temperature", "0"}),
              "abacadabacadabacada\n");
  }
}

TEST_F(TextGenerationTest, SameOptionsGiveTheSameFileForAnyNumberOfThreads) {
  train("a", {"--layers", "2"});
  train("b", {"--layers", "2"});
  train("c", {"--layers", "2", "--threads", "3"});
  train("other", {"--layers", "2", "--seed", "2"});
  EXPECT_EQ(slurp(folder / "a"), slurp(folder / "b"));
  EXPECT_EQ(slurp(folder / "a"), slurp(folder / "c"));
  EXPECT_NE(slurp(folder / "a"), slurp(folder / "other"));
}

TEST_F(TextGenerationTest, EveryOptionHasAnEffect) {
  const auto weights = [&](const Words& more) {
    train("model", more);
    return xgrad::nn::read_safetensors(folder / "model").tensors.at("model.head.W").to_vector();
  };
  const auto plain = weights({});
  for (const Words& option :
       {Words{"--cell", "gru"}, Words{"--layers", "2"}, Words{"--embedding", "9"},
        Words{"--seq-len", "11"}, Words{"--batch", "5"}, Words{"--parts", "3"},
        Words{"--lr", "0.004"}, Words{"--dropout", "0.2"}, Words{"--clip", "0.01"},
        Words{"--steps", "26"}, Words{"--validation-fraction", "0.2"}, Words{"--seed", "3"}}) {
    EXPECT_NE(weights(option), plain) << option[0];
  }
}

// After one step Adam's first moments are a tenth of the gradient.
TEST_F(TextGenerationTest, PartsOfUnequalSizeAddUpToTheGradientOfTheBatch) {
  const auto moments = [&](const std::string& parts) {
    train("model", {"--steps", "1", "--batch", "5", "--parts", parts, "--dropout", "0"});
    std::vector<double> all;
    for (const auto& [name, tensor] : xgrad::nn::read_safetensors(folder / "model").tensors) {
      if (!std::regex_match(name, std::regex("training\\.optimizer\\.\\d+\\.m"))) continue;
      const std::vector<double> values = tensor.to_vector();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  const std::vector<double> whole = moments("1"), parts = moments("2");
  ASSERT_EQ(whole.size(), parts.size());
  ASSERT_GT(whole.size(), 24U * 4U * 24U);
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < whole.size(); ++i) {
    difference = std::max(difference, std::abs(whole[i] - parts[i]));
    size = std::max(size, std::abs(whole[i]));
  }
  EXPECT_GT(size, 0);
  // Parts of 2 and 3 that weigh the same would be off by a tenth; the order of some hundred
  // additions is less than 2^-24 for each of them.
  EXPECT_LT(difference, 1e-3 * size);
}

TEST_F(TextGenerationTest, DropoutActsBehindEveryLayer) {
  // By the random numbers that a step has drawn.
  const auto generators = [&](const std::string& layers) {
    train("model", {"--steps", "1", "--layers", layers, "--dropout", "0.3"});
    return xgrad::nn::read_safetensors(folder / "model").metadata.at("training.generators");
  };
  EXPECT_NE(generators("1"), generators("2"));
}

// With a text that windows fill up, and weights that stay as they are, epochs are alike.
TEST_F(TextGenerationTest, EveryEpochBeginsWithoutAState) {
  constexpr std::size_t windows = 5;
  spill(folder / "text", sample_ascii(268));  // floor(0.9 * 268) = 5 * 48 + 1
  const auto state = [&](std::size_t steps) {
    train("model", {"--steps", std::to_string(steps), "--lr", "0", "--dropout", "0"});
    return xgrad::nn::read_safetensors(folder / "model").tensors.at("training.state.0").to_vector();
  };
  EXPECT_EQ(state(2), state(windows + 2));
  EXPECT_NE(state(1), state(2));
}

TEST_F(TextGenerationTest, ATextOfOneWindowNeedsOneCharacterMore) {
  spill(folder / "text", sample_ascii(55));  // floor(0.9 * 55) = 4 * 12 + 1
  train("model", {"--steps", "3"});
  spill(folder / "text", sample_ascii(54));
  expect_error(training("m", {"--steps", "3"}), "one window takes batch * seq-len + 1 = 49");
}

TEST_F(TextGenerationTest, EpochsAndMinutesNameTheirSteps) {
  const auto characters =
      static_cast<std::int64_t>(std::floor(0.9 * static_cast<double>(code_points(text))));
  const Ended epochs = train("epochs", {"--steps", "", "--epochs", "2"});
  EXPECT_TRUE(
      contains(epochs.err, "--steps " + std::to_string(2 * ((characters - 1) / (4 * 12))) + "\n"))
      << epochs.err;

  const Ended minutes = train("minutes", {"--steps", "", "--minutes", "0.02"});
  std::smatch match;
  ASSERT_TRUE(std::regex_search(minutes.err, match, std::regex("--steps (\\d+)")));
  const Ended steps = train("steps", {"--steps", match[1]});
  EXPECT_EQ(minutes.out.substr(minutes.out.find("training: ")),
            steps.out.substr(steps.out.find("training: ")));
}

// Long enough to be interrupted, with all that has a state: dropout, layers, several epochs, and
// validations on the way.
const Words eventful{
    "--layers", "2", "--dropout", "0.3", "--steps", "1000", "--validation-fraction", "0.01"};

TEST_F(TextGenerationTest, InterruptedAndResumedGivesTheSameBits) {
  train("whole", eventful);
  std::mt19937 random(7);
  Words next = training("model", eventful + Words{"--save-seconds", "0"});
  for (const int signal : {SIGKILL, SIGINT, SIGKILL, SIGTERM, SIGKILL, SIGINT}) {
    const bool there = fs::exists(folder / "model");
    const auto before = there ? fs::last_write_time(folder / "model") : fs::file_time_type();
    Process process(command(next));
    // Some time after it has begun to save: with a save after each step, maybe in the middle of
    // one.
    ASSERT_TRUE(process.wait_until([&] {
      return fs::exists(folder / "model") && fs::last_write_time(folder / "model") != before;
    }));
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 50));
    process.send(signal);
    const Ended ended = process.wait();
    if (signal == SIGKILL) {
      ASSERT_EQ(ended.signal, SIGKILL) << ended.out;
    } else {
      ASSERT_EQ(ended.status, 128 + signal) << ended.err;
      EXPECT_TRUE(contains(ended.err, "train --resume " + folder / "model")) << ended.err;
    }
    const Ended evaluated = run(command({"evaluate", folder / "model", folder / "text"}));
    ASSERT_EQ(evaluated.status, 0) << evaluated.err;
    next = {"train", "--resume", folder / "model", "--save-seconds", "0"};
  }
  const Ended ended = run(command({"train", "--resume", folder / "model"}));
  EXPECT_TRUE(contains(ended.err, "going on after step ")) << ended.err;
  EXPECT_TRUE(slurp(folder / "model") == slurp(folder / "whole"));
}

TEST_F(TextGenerationTest, ResumingWithTheSameArgumentsGoesOn) {
  train("whole", {"--steps", "800"});
  const Words arguments = training("model", {"--steps", "800"});
  Process process(command(arguments));
  process.wait_until([&] { return fs::exists(folder / "model"); });
  process.send(SIGINT);
  ASSERT_EQ(process.wait().status, 130);
  const Ended ended = run(command(arguments + Words{"--resume", folder / "model"}));
  EXPECT_TRUE(contains(ended.err, "going on after step ")) << ended.err;
  EXPECT_TRUE(slurp(folder / "model") == slurp(folder / "whole"));
}

TEST_F(TextGenerationTest, ResumingAFinishedTrainingChangesNothing) {
  const Ended ended = train("model");
  const std::string bytes = slurp(folder / "model");
  const Words resume{"train", "--resume", folder / "model"};
  for (const Words& words : {resume, training("model", {"--resume", folder / "model"})}) {
    const Ended again = run(command(words));
    EXPECT_EQ(again.status, 0) << again.err;
    EXPECT_EQ(again.out, ended.out);
    EXPECT_TRUE(contains(again.err, "its training (--steps 25) is finished")) << again.err;
    EXPECT_TRUE(slurp(folder / "model") == bytes);
  }
  EXPECT_EQ(run(command(resume + Words{"--out", folder / "copy"})).status, 0);
  EXPECT_TRUE(slurp(folder / "copy") == bytes);
}

TEST_F(TextGenerationTest, ANewScheduleKeepsWeightsThatValidatedBetter) {
  const std::string scores = last_line(train("model", {"--steps", "200"}).out, "validation: ");
  const Words worse{"--resume", folder / "model", "--steps", "1", "--lr", "1"};
  EXPECT_EQ(last_line(train("model", worse).out, "validation: "), scores);
  const double evaluated =
      value_of(run(command({"evaluate", folder / "model", folder / "text"})).out, "nats");
  EXPECT_LT(evaluated, 2 * value_of(scores, "nats"));
}

TEST_F(TextGenerationTest, ANewScheduleGoesOnWithTheStoredMoments) {
  train("model");
  const auto file = xgrad::nn::read_safetensors(folder / "model");
  const auto resumed_with = [&](const std::string& moment, double factor) {
    auto copy = file;
    for (auto& [name, tensor] : copy.tensors) {
      if (!name.starts_with("training.optimizer.") || !name.ends_with(moment)) continue;
      std::vector<float> values;
      for (const double x : tensor.to_vector()) values.push_back(static_cast<float>(factor * x));
      tensor = xgrad::Tensor(tensor.shape(), values);
    }
    xgrad::nn::write_safetensors(folder / "copy", copy);
    train("copy", {"--resume", folder / "copy", "--steps", "3"});
    return xgrad::nn::read_safetensors(folder / "copy").tensors.at("model.head.W").to_vector();
  };
  const auto plain = resumed_with(".m", 1);
  EXPECT_NE(plain, resumed_with(".m", -3));
  EXPECT_NE(plain, resumed_with(".v", 4));
}

TEST_F(TextGenerationTest, EndsAfterItWasStoppedBehindTheLastValidation) {
  const Ended ended = train("model");
  const std::string bytes = slurp(folder / "model");
  // The file as it is between the last validation and the end.
  auto file = xgrad::nn::read_safetensors(folder / "model");
  const auto tensors = file.tensors;
  for (const auto& [name, tensor] : tensors) {
    if (name.starts_with("model.")) file.tensors["training.best." + name.substr(6)] = tensor;
  }
  file.metadata["training.finished"] = "0";
  xgrad::nn::write_safetensors(folder / "model", file);
  const Ended resumed = run(command({"train", "--resume", folder / "model"}));
  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_EQ(resumed.out, ended.out);
  EXPECT_TRUE(slurp(folder / "model") == bytes);
}

TEST_F(TextGenerationTest, ResumingSaysWhenANewScheduleStarts) {
  const std::string first = last_line(train("model").out, "validation: ");
  const Ended again = train("model", {"--resume", folder / "model", "--steps", "200"});
  EXPECT_TRUE(contains(again.err, "a new schedule starts, since its training is finished"))
      << again.err;
  EXPECT_LT(value_of(last_line(again.out, "validation: "), "nats"), value_of(first, "nats"));

  Process process(command(training("model", {"--steps", "800"})));
  const auto before = fs::last_write_time(folder / "model");
  process.wait_until([&] { return fs::last_write_time(folder / "model") != before; });
  process.send(SIGINT);
  ASSERT_EQ(process.wait().status, 130);
  const auto new_schedule = [&](const Words& more) {
    return train("copy", Words{"--resume", folder / "model"} + more).err;
  };
  EXPECT_TRUE(contains(new_schedule({"--steps", "3"}), "since the length was another"));
  EXPECT_TRUE(
      contains(new_schedule({"--steps", "800", "--lr", "0.001"}), "since --lr was 0.01 before"));
  spill(folder / "second", sample_text(400, 2));
  EXPECT_TRUE(contains(new_schedule({"--steps", "800", "--corpus", folder / "second"}),
                       "since the text of the corpus is another"));
}

// Characters whose codes end with the same byte are others.
TEST_F(TextGenerationTest, ResumingKnowsATextByAllOfItsCharacters) {
  std::string one, other;
  for (std::size_t i = 0; i < 400; ++i) {
    const bool first = i % 3 == 0 || i % 7 == 0;
    one += first ? "a" : "\u0161";  // 0x61 and 0x161
    other += first ? "\u0161" : "a";
  }
  spill(folder / "text", one);
  Process process(command(training("model", {"--steps", "100000", "--save-seconds", "0"})));
  ASSERT_TRUE(process.wait_until([&] { return fs::exists(folder / "model"); }));
  process.send(SIGINT);
  ASSERT_EQ(process.wait().status, 130);
  spill(folder / "text", other);
  Process resumed(command({"train", "--resume", folder / "model"}));
  EXPECT_TRUE(resumed.wait_until([&] {
    return contains(resumed.error_output(), "the text of the corpus is another");
  })) << resumed.error_output();
}

TEST_F(TextGenerationTest, TheCommandThatGoesOnIsOneForAShell) {
  const std::string name = folder / "it's a model";
  Process process(command(training("it's a model", {"--steps", "100000", "--save-seconds", "0"})));
  ASSERT_TRUE(process.wait_until([&] { return fs::exists(name); }));
  process.send(SIGINT);
  const Ended ended = process.wait();
  ASSERT_EQ(ended.status, 130);
  std::smatch match;
  ASSERT_TRUE(std::regex_search(ended.err, match, std::regex("Go on with\n  (.*)\n"))) << ended.err;
  const Ended again = run({"/bin/sh", "-c", match[1].str() + " --steps 3"});
  EXPECT_EQ(again.status, 0) << again.err;
}

TEST_F(TextGenerationTest, ResumingRemembersWhereTheCorpusIsNow) {
  const Words eternal = training("model", {"--steps", "1000000"});
  const auto interrupted = [&](const Words& words) {
    const bool there = fs::exists(folder / "model");
    const auto before = there ? fs::last_write_time(folder / "model") : fs::file_time_type();
    Process process(command(words));
    process.wait_until([&] {
      return fs::exists(folder / "model") && fs::last_write_time(folder / "model") != before;
    });
    process.send(SIGINT);
    return process.wait();
  };
  ASSERT_EQ(interrupted(eternal).status, 130);
  fs::rename(folder / "text", folder / "moved");
  const Words resume{"train", "--resume", folder / "model"};
  EXPECT_EQ(run(command(resume)).status, 1);
  EXPECT_EQ(interrupted(resume + Words{"--corpus", folder / "moved"}).status, 130);
  const Ended ended = interrupted(resume);
  EXPECT_EQ(ended.status, 130) << ended.err;
  EXPECT_TRUE(contains(ended.err, "going on after step ")) << ended.err;
}

TEST_F(TextGenerationTest, KeepsTheBestValidatedWeights) {
  // Random letters: whatever is learned of them by heart makes the validation worse.
  std::mt19937 random(3);
  std::string letters;
  for (int i = 0; i < 1200; ++i) letters += static_cast<char>('a' + random() % 16);
  spill(folder / "letters", letters);
  const Words arguments{"--corpus", folder / "letters", "--steps", "600",      "--lr",
                        "0.02",     "--dropout",        "0",       "--hidden", "64"};
  const Ended ended = train("model", arguments);
  EXPECT_TRUE(contains(ended.out, "The last weights validated worse")) << ended.out;
  const std::string scores = last_line(ended.out, "validation: ");
  EXPECT_TRUE(contains(ended.err, scores)) << ended.err;  // one of those on the way
  const auto begin = static_cast<std::size_t>(std::floor(1200 * 0.9));
  spill(folder / "rest", letters.substr(begin));
  const Ended evaluated = run(command({"evaluate", folder / "model", folder / "rest"}));
  EXPECT_EQ(last_line(evaluated.out, "evaluation: "), scores);

  // They survive an interruption that comes after them, and a new schedule that is worse.
  Process process(command(training("resumed", arguments)));
  ASSERT_TRUE(process.wait_until([&] {
    const std::string shown = process.error_output();
    return shown.find("Validation", shown.find(scores)) != std::string::npos;
  }));
  process.send(SIGINT);
  ASSERT_EQ(process.wait().status, 130);
  const Ended worse = run(command({"train", "--resume", folder / "resumed", "--out",
                                   folder / "worse", "--steps", "1", "--lr", "1"}));
  EXPECT_EQ(last_line(worse.out, "validation: "), scores);
  const Ended kept = run(command({"evaluate", folder / "worse", folder / "rest"}));
  EXPECT_EQ(last_line(kept.out, "evaluation: "), scores);
  ASSERT_EQ(run(command({"train", "--resume", folder / "resumed"})).status, 0);
  EXPECT_TRUE(slurp(folder / "resumed") == slurp(folder / "model"));
}

TEST_F(TextGenerationTest, ALossThatIsNotANumberStopsAndKeepsTheModel) {
  const Ended ended = run(command(training("model", {"--lr", "1e38", "--clip", "0"})));
  EXPECT_EQ(ended.status, 1);
  EXPECT_TRUE(std::regex_search(
      ended.err, std::regex("the loss is no longer a finite number at step [1-5] of 25; .*model "
                            "holds the model after step 0")))
      << ended.err;
  EXPECT_EQ(generate({"--prompt", "the", "--length", "5", "--temperature", "1"}).substr(0, 3),
            "the");

  // Weights that are finite, but give nothing finite.
  const Ended huge = run(command(training("model", {"--lr", "1e37", "--steps", "1"})));
  EXPECT_EQ(huge.status, 1);
  EXPECT_TRUE(contains(huge.err,
                       "the loss of the validation is no longer a finite number at step "
                       "1 of 1; "))
      << huge.err;
}

TEST_F(TextGenerationTest, GenerateWritesPromptAndLength) {
  train("model");
  const std::string prompt = "\u4e2d\u6587 tape";
  const std::string out = generate({"--prompt", prompt, "--length", "40", "--temperature", "2"});
  EXPECT_TRUE(out.starts_with(prompt));
  EXPECT_EQ(code_points(out), 7U + 40U + 1U);
  EXPECT_EQ(generate({"--length", "0", "--prompt", prompt}), prompt + "\n");
  EXPECT_EQ(code_points(generate({"--length", "30"})), 31U);
}

TEST_F(TextGenerationTest, GenerateSamplesAsAsked) {
  train("model", {"--steps", "300"});
  const Words hot{"--length", "60", "--temperature", "1.5"};
  EXPECT_EQ(generate(hot + Words{"--seed", "5"}), generate(hot + Words{"--seed", "5"}));
  EXPECT_NE(generate(hot + Words{"--seed", "5"}), generate(hot + Words{"--seed", "6"}));
  const std::string likeliest = generate({"--length", "60", "--temperature", "0"});
  EXPECT_EQ(generate(hot + Words{"--top-k", "1"}), likeliest);
  EXPECT_EQ(generate(hot + Words{"--top-p", "0"}), likeliest);
  EXPECT_EQ(generate({"--length", "60", "--temperature", "0.001"}), likeliest);
  EXPECT_NE(generate(hot), likeliest);
  EXPECT_EQ(generate(hot + Words{"--top-k", "1000", "--top-p", "1"}), generate(hot));
  // Hot enough, any character comes; of the three likeliest there are never more than three.
  const auto letters = [](std::string out) {
    std::sort(out.begin(), out.end());
    return std::unique(out.begin(), out.end()) - out.begin();
  };
  const Words first{"--length", "1", "--temperature", "1e9", "--prompt", "the"};
  std::string all, three;
  for (int seed = 0; seed < 40; ++seed) {
    const Words seeded = first + Words{"--seed", std::to_string(seed)};
    all += generate(seeded).substr(3);
    three += generate(seeded + Words{"--top-k", "3"}).substr(3);
  }
  EXPECT_GT(letters(all), 8);
  EXPECT_LE(letters(three), 4 + 6);  // with the line break; a character may have four bytes
}

TEST_F(TextGenerationTest, WithoutAPromptItBeginsALine) {
  spill(folder / "text", text + "\tend");  // a character before the line break
  train("model", {"--steps", "200"});
  const Words likeliest{"--length", "40", "--temperature", "0"};
  EXPECT_EQ("\n" + generate(likeliest), generate(likeliest + Words{"--prompt", "\n"}));
}

TEST_F(TextGenerationTest, NothingIsDroppedWhileItGenerates) {
  train("model", {"--steps", "200"});
  const Words options{"--length", "60", "--temperature", "0.5"};
  const std::string plain = generate(options);
  auto file = xgrad::nn::read_safetensors(folder / "model");
  file.metadata.at("dropout") = "0.9";
  xgrad::nn::write_safetensors(folder / "model", file);
  EXPECT_EQ(generate(options), plain);
}

TEST_F(TextGenerationTest, AModelThatGivesNoNumbersIsNamed) {
  train("model", {"--steps", "1"});
  auto file = xgrad::nn::read_safetensors(folder / "model");
  auto& bias = file.tensors.at("model.head.b");
  std::vector<float> values;
  for (const double x : bias.to_vector()) values.push_back(static_cast<float>(x));
  values[1] = std::nanf("");
  bias = xgrad::Tensor(bias.shape(), values);
  xgrad::nn::write_safetensors(folder / "model", file);
  const Ended ended = run(command({"generate", folder / "model"}));
  EXPECT_EQ(ended.status, 1);
  EXPECT_TRUE(contains(ended.err, "the model's output is not finite")) << ended.err;
}

// A model whose output is its bias, whatever came before, writes characters of known probability.
TEST_F(TextGenerationTest, CharactersComeAsOftenAsTheirProbabilitiesSay) {
  train("model", {"--steps", "1"});
  auto file = xgrad::nn::read_safetensors(folder / "model");
  const std::string& vocabulary = file.metadata.at("vocabulary");
  const std::string letters = "nteba";
  const std::vector<double> shares{0.4, 0.3, 0.15, 0.1, 0.05};
  std::vector<float> logits(code_points(vocabulary), -100);
  for (std::size_t i = 0; i < letters.size(); ++i) {
    logits.at(code_points(vocabulary.substr(0, vocabulary.find(letters[i])))) =
        static_cast<float>(7 + std::log(shares[i]));
  }
  const auto size = static_cast<xgrad::Index>(logits.size());
  file.tensors["model.head.W"] = xgrad::Tensor::zeros({24, size});
  file.tensors["model.head.b"] = xgrad::Tensor({size}, logits);
  xgrad::nn::write_safetensors(folder / "model", file);

  constexpr int count = 20'000;
  const auto expect_shares = [&](const Words& options, const std::vector<double>& weights) {
    const std::string out = generate(Words{"--length", std::to_string(count)} + options);
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (std::size_t i = 0; i < letters.size(); ++i) {
      const double p = weights[i] / total;
      const auto seen = static_cast<double>(std::count(out.begin(), out.end(), letters[i]));
      EXPECT_NEAR(seen / count, p, 5 * std::sqrt(p * (1 - p) / count))  // five deviations
          << letters[i] << ", " << ::testing::PrintToString(options);
    }
  };
  expect_shares({"--temperature", "1"}, shares);
  expect_shares({"--temperature", "0.5"}, {0.16, 0.09, 0.0225, 0.01, 0.0025});
  expect_shares({"--temperature", "1", "--top-k", "3"}, {0.4, 0.3, 0.15, 0, 0});
  // The fewest characters that have that probability together.
  expect_shares({"--temperature", "1", "--top-p", "0.69"}, {0.4, 0.3, 0, 0, 0});
  expect_shares({"--temperature", "1", "--top-p", "0.71"}, {0.4, 0.3, 0.15, 0, 0});
  // The probabilities are those at the temperature, 0.56 and 0.32 for the first two,
  expect_shares({"--temperature", "0.5", "--top-p", "0.8"}, {0.16, 0.09, 0, 0, 0});
  // and among the K likeliest, of which the first two have 0.82.
  expect_shares({"--temperature", "1", "--top-k", "3", "--top-p", "0.8"}, {0.4, 0.3, 0, 0, 0});
}

TEST_F(TextGenerationTest, BadCorporaAreNamed) {
  spill(folder / "empty", "");
  expect_error(training("m", {"--corpus", folder / "empty"}), "the corpus is empty");
  expect_error(training("m", {"--corpus", folder / "none"}), folder / "none: cannot read");
  expect_error(training("m", {"--corpus", folder.path().string()}), "cannot read the file");
  spill(folder / "short", sample_text(10));
  expect_error(training("m", {"--corpus", folder / "short"}),
               "one window takes batch * seq-len + 1 = 49");
  spill(folder / "one", "a");
  expect_error(training("m", {"--corpus", folder / "one"}), "each part needs at least 2");
  EXPECT_FALSE(fs::exists(folder / "m"));
}

TEST_F(TextGenerationTest, InvalidUtf8IsRefusedWithItsOffset) {
  const std::string before = "na\u00efve \u4e2d\U0001f600";  // 14 bytes
  for (const std::string& bytes :
       {std::string("\x80"), std::string("\xc0\xaf"), std::string("\xc1\x81"),
        std::string("\xe0\x80\xaf"), std::string("\xed\xa0\x80"), std::string("\xf0\x8f\xbf\xbf"),
        std::string("\xf4\x90\x80\x80"), std::string("\xf5\x80\x80\x80"), std::string("\xff"),
        std::string("\xe4\xb8"), std::string("\xe4\xb8z"), std::string("\xc3")}) {
    spill(folder / "bad", before + bytes);
    expect_error(training("m", {"--corpus", folder / "bad"}),
                 folder / "bad: invalid UTF-8 at byte offset 14");
  }
  train("model");
  expect_error({"evaluate", folder / "model", folder / "bad"}, "invalid UTF-8 at byte offset 14");
  expect_error({"generate", folder / "model", "--prompt", "ab\xff"},
               "--prompt: invalid UTF-8 at byte offset 2");
}

TEST_F(TextGenerationTest, AcceptsTheWholeRangeOfUtf8) {
  const std::string all = "\x01\x7f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff";
  std::string many = text;
  for (int i = 0; i < 5; ++i) many += all;
  spill(folder / "all", many);
  train("model", {"--corpus", folder / "all"});
  EXPECT_EQ(generate({"--prompt", all, "--length", "0"}), all + "\n");
}

TEST_F(TextGenerationTest, AByteOrderMarkIsNoCharacter) {
  const std::string mark = "\ufeff";
  spill(folder / "second", text);
  const Words both{"train",         "--corpus",
                   folder / "text", folder / "second",
                   "--out",         folder / "model",
                   "--hidden",      "8",
                   "--batch",       "4",
                   "--steps",       "2"};
  ASSERT_EQ(run(command(both)).status, 0);
  const std::string plain = slurp(folder / "model");
  const std::string evaluated = run(command({"evaluate", folder / "model", folder / "text"})).out;
  spill(folder / "text", mark + text);
  spill(folder / "second", mark + text);
  EXPECT_EQ(run(command({"evaluate", folder / "model", folder / "text"})).out, evaluated);
  ASSERT_EQ(run(command(both)).status, 0);
  EXPECT_TRUE(slurp(folder / "model") == plain);
  // Elsewhere it is one.
  spill(folder / "text", text + mark);
  expect_error({"evaluate", folder / "model", folder / "text"}, "(U+FEFF)");
}

TEST_F(TextGenerationTest, UnknownCharactersAreNamed) {
  train("model");
  expect_error({"generate", folder / "model", "--prompt", "the \u00df"},
               "--prompt: character '\u00df' (U+00DF) at position 5 does not occur");
  spill(folder / "tab", "the\ttape");
  expect_error({"evaluate", folder / "model", folder / "tab"},
               "tab: character U+0009 at position 4 does not occur");
  spill(folder / "single", "t");
  expect_error({"evaluate", folder / "model", folder / "single"}, "at least 2 characters");
}

TEST_F(TextGenerationTest, DamagedAndForeignModelsAreNamed) {
  train("model");
  const std::string bytes = slurp(folder / "model");
  const auto expect_all = [&](const std::string& part) {
    expect_error({"generate", folder / "m"}, part);
    expect_error({"evaluate", folder / "m", folder / "text"}, part);
    expect_error({"train", "--resume", folder / "m"}, part);
  };
  expect_all("m: cannot open: No such file");
  spill(folder / "m", "");
  expect_all("m: not a safetensors file");
  spill(folder / "m", text);
  expect_all("m: not a safetensors file");
  spill(folder / "m", bytes.substr(0, bytes.size() / 2));
  expect_all(folder / "m");
  xgrad::nn::SafetensorsFile foreign;
  foreign.tensors["x"] = xgrad::Tensor::zeros({2});
  xgrad::nn::write_safetensors(folder / "m", foreign);
  expect_all("m: a safetensors file, but not one of this program");

  const auto file = xgrad::nn::read_safetensors(folder / "model");
  const auto expect_damaged = [&](const auto& damage, const std::string& part) {
    auto copy = file;
    damage(copy);
    xgrad::nn::write_safetensors(folder / "m", copy);
    expect_all(part);
  };
  expect_damaged([](auto& f) { f.metadata.erase("hidden"); }, "damaged: there is no 'hidden'");
  expect_damaged([](auto& f) { f.metadata["hidden"] = "-3"; }, "damaged: 'hidden' is '-3'");
  expect_damaged([](auto& f) { f.metadata["hidden"] = "16384"; }, "damaged: the tensors");
  expect_damaged([](auto& f) { f.metadata["layers"] = "2"; }, "damaged: the tensors");
  expect_damaged([](auto& f) { f.metadata["cell"] = "gru"; }, "damaged: the tensors");
  expect_damaged([](auto& f) { f.metadata["cell"] = "cnn"; }, "damaged: 'cell' is 'cnn'");
  expect_damaged([](auto& f) { f.metadata["embedding"] = "9"; }, "damaged: tensor embedding is");
  expect_damaged([](auto& f) { f.metadata["vocabulary"] = "abc"; }, "damaged: the tensors");
  expect_damaged([](auto& f) { f.tensors.erase("model.head.b"); },
                 "damaged: there is no tensor head.b");
  expect_damaged([](auto& f) { f.tensors["model.more"] = xgrad::Tensor::zeros({1}); },
                 "damaged: it has 7 tensors for the model's 6");
}

TEST_F(TextGenerationTest, DamagedTrainingStateIsNamedAndStillGenerates) {
  Process process(command(training("model", {"--steps", "3000", "--save-seconds", "0"})));
  process.wait_until([&] { return fs::exists(folder / "model"); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  process.send(SIGINT);
  ASSERT_EQ(process.wait().status, 130);
  const auto file = xgrad::nn::read_safetensors(folder / "model");
  const auto expect_damaged = [&](const auto& damage, const std::string& part) {
    auto copy = file;
    damage(copy);
    xgrad::nn::write_safetensors(folder / "m", copy);
    expect_error({"train", "--resume", folder / "m"}, part);
    EXPECT_EQ(run(command({"generate", folder / "m"})).status, 0);
  };
  expect_damaged([](auto& f) { f.tensors.erase("training.optimizer.0.m"); }, "m: damaged: Adam");
  expect_damaged([](auto& f) { f.tensors.erase("training.state.0"); },
                 "m: damaged: there is no carried state 0");
  expect_damaged(
      [](auto& f) {
        f.tensors["training.state.1"] = xgrad::Tensor::zeros({3, 24});
      },
      "m: damaged: the carried state does not fit");
  expect_damaged([](auto& f) { f.metadata["training.generators"] = "x\ny\n"; },
                 "m: damaged: random");
  expect_damaged([](auto& f) { f.metadata["training.generators"] = ""; },
                 "m: damaged: the carried state does not fit");
  expect_damaged([](auto& f) { f.metadata["training.done"] = "x"; },
                 "m: damaged: 'training.done' is 'x'");
  expect_damaged([](auto& f) { f.metadata["training.done"] = "3001"; }, "m: damaged: ");
}

TEST_F(TextGenerationTest, TheShapeOfAModelCannotChange) {
  train("model");
  expect_error({"train", "--resume", folder / "model", "--hidden", "32"},
               "--hidden 32: " + folder / "model was made with 24");
  expect_error({"train", "--resume", folder / "model", "--cell", "gru"},
               "--cell gru: " + folder / "model was made with lstm");
}

TEST_F(TextGenerationTest, ModelsThatCannotBeWrittenAreNamed) {
  expect_error(training("none/model"), "none/model: cannot create a file in this folder");
}

TEST_F(TextGenerationTest, BadArgumentsAreExplained) {
  const auto expect_usage = [&](const Words& arguments, const std::string& part) {
    const Ended ended = run(command(arguments));
    SCOPED_TRACE(part);
    EXPECT_GT(ended.status, 0);
    EXPECT_TRUE(contains(ended.err, part)) << ended.err;
    EXPECT_EQ(ended.out, "");
    EXPECT_FALSE(fs::exists(folder / "m"));
  };
  for (const Words& bad :
       {Words{"--hidden", "0"}, Words{"--hidden", "1.5"}, Words{"--layers", "0"},
        Words{"--embedding", "-1"}, Words{"--seq-len", "0"}, Words{"--batch", "0"},
        Words{"--lr", "-1"}, Words{"--lr", "nan"}, Words{"--lr", "fast"}, Words{"--dropout", "1"},
        Words{"--clip", "-1"}, Words{"--cell", "cnn"}, Words{"--validation-fraction", "0"},
        Words{"--validation-fraction", "1"}, Words{"--seed", "-1"}, Words{"--threads", "0"},
        Words{"--steps", "0"}}) {
    expect_usage(training("m", bad), bad[0]);
  }
  for (const Words& bad : {Words{"--minutes", "0"}, Words{"--epochs", "0"}}) {
    expect_usage(training("m", Words{"--steps", ""} + bad), bad[0]);
  }
  expect_usage(training("m", {"--epochs", "1"}), "excludes");
  expect_usage({"train"}, "--corpus (or --resume)");
  expect_usage({"train", "--unknown", "1"}, "--");
  expect_usage({"walk"}, "walk");
  expect_usage({"generate"}, "MODEL");
  expect_usage({"evaluate", "model"}, "FILE");
  for (const Words& bad : {Words{"--temperature", "-1"}, Words{"--top-p", "1.1"},
                           Words{"--top-k", "-1"}, Words{"--length", "-1"}}) {
    expect_usage(Words{"generate", "model"} + bad, bad[0]);
  }
}

TEST_F(TextGenerationTest, HelpEverywhere) {
  for (const Words& of : {Words{}, Words{"train"}, Words{"generate"}, Words{"evaluate"}}) {
    const Ended ended = run(command(of + Words{"--help"}));
    EXPECT_EQ(ended.status, 0);
    EXPECT_EQ(ended.err, "");
    EXPECT_TRUE(contains(ended.out, "Usage: text_generation")) << ended.out;
  }
}

TEST_F(TextGenerationTest, WithoutArgumentsItLearnsFromTheSourcesButNotFromWhatWasBuilt) {
  const fs::path sources = fs::path(XGRAD_TESTS_DIR).parent_path();
  std::ptrdiff_t all = 0, own = 0;
  for (const auto& entry : fs::recursive_directory_iterator(sources)) {
    const fs::path path = fs::relative(entry.path(), sources);
    if (!entry.is_regular_file() || (path.extension() != ".hpp" && path.extension() != ".cpp")) {
      continue;
    }
    ++all;
    own += std::none_of(path.begin(), path.end(), [](const fs::path& name) {
      return name == "build" || name.string().starts_with('.');
    });
  }
  ASSERT_LT(own, all);  // there is one in tests/build
  Process process({program});
  ASSERT_TRUE(process.wait_until([&] { return contains(process.error_output(), "files below"); }));
  process.send(SIGKILL);  // before it saves a model over an earlier one
  process.wait();
  EXPECT_TRUE(contains(process.error_output(), ", " + std::to_string(own) + " files below "))
      << process.error_output();
}

TEST_F(TextGenerationTest, WithoutArgumentsItShowsWhatItDoes) {
  if (!std::getenv("XGRAD_THOROUGH")) GTEST_SKIP() << "takes 90 seconds; tests/run --thorough";
  const auto start = std::chrono::steady_clock::now();
  const Ended ended = run({program});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_LT(seconds.count(), 100);
  EXPECT_TRUE(contains(ended.err, " bits/char "));
  EXPECT_LT(value_of(ended.out.substr(ended.out.find("validation: ")), "nats"), 2.0);
  EXPECT_GT(ended.out.size(), 1000U);
  std::smatch match;
  ASSERT_TRUE(std::regex_search(ended.out, match, std::regex("The model is (\\S+)\\.")));
  EXPECT_TRUE(fs::exists(match[1].str()));
  EXPECT_EQ(run({program, "generate", match[1], "--length", "5"}).status, 0);
}

}  // namespace
