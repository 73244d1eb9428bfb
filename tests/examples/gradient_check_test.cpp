#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "examples/process.hpp"

// The program is run as a user runs it; nothing of its inside is known here.
namespace {

namespace fs = std::filesystem;
using xgrad::testing::Ended;
using xgrad::testing::slurp;

using Words = std::vector<std::string>;

const Words all_names{"rnn-tanh", "rnn-relu", "gru",           "gru-reset-before",
                      "lstm",     "peephole", "lstm-sequence", "wrong-lstm"};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

/// All lines that match.
std::vector<std::smatch> matches(const std::string& text, const std::string& line) {
  const std::regex pattern(line, std::regex::ECMAScript | std::regex::multiline);
  return {std::sregex_iterator(text.begin(), text.end(), pattern), {}};
}

/// A column of the table of one check, of all inputs.
Words verdicts(const std::string& out) {
  Words result;
  for (const auto& match :
       matches(out, "^  [A-Za-z0-9_.\\[\\]]+ +\\([0-9,]+\\) +(correct|WRONG|[a-z-]+) ")) {
    result.push_back(match[1]);
  }
  return result;
}

/// The names of the elements of an XML file that closes them all in order; else it fails.
Words elements(const std::string& xml) {
  Words names, open;
  const std::regex tag("<(/?)([a-z]+)((?: [a-zA-Z0-9-]+=\"[^\"<&]*\")*) ?(/?)>");
  std::string between;
  auto last = xml.begin();
  for (std::sregex_iterator it(xml.begin(), xml.end(), tag), end; it != end; ++it) {
    between.append(last, (*it)[0].first);
    last = (*it)[0].second;
    if ((*it)[1].length() > 0) {
      if (open.empty() || open.back() != (*it)[2]) {
        ADD_FAILURE() << "</" << (*it)[2] << "> closes nothing";
        return {};
      }
      open.pop_back();
    } else {
      names.push_back((*it)[2]);
      if ((*it)[4].length() == 0) open.push_back((*it)[2]);
    }
  }
  between.append(last, xml.end());
  EXPECT_TRUE(open.empty());
  EXPECT_EQ(between.find_first_of("<>"), between.npos);  // no tag was missed
  return names;
}

std::size_t count(const Words& words, const std::string& word) {
  return static_cast<std::size_t>(std::count(words.begin(), words.end(), word));
}

class GradientCheck : public testing::Test {
 protected:
  /// In a UTF-8 locale.
  Ended run(const Words& arguments, const std::string& locale = "C.UTF-8") const {
    Words words{"/usr/bin/env", "LC_ALL=" + locale, program()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return xgrad::testing::run(words);
  }
  Ended draw(Words arguments) const {
    arguments.insert(arguments.end(), {"--svg", svg()});
    return run(arguments);
  }
  /// By a shell, whose `"$0"` is the program.
  Ended shell(const std::string& command) const {
    return xgrad::testing::run({"/bin/sh", "-c", command, program()});
  }

  static std::string program() { return std::string(XGRAD_EXAMPLES_DIR) + "/gradient_check"; }
  std::string svg() const { return folder_ / "errors.svg"; }
  const fs::path& folder() const { return folder_.path(); }

 private:
  xgrad::testing::TemporaryFolder folder_;
};

TEST_F(GradientCheck, FindsTheWrongCellAndNoOther) {
  const Ended ended = draw({});
  ASSERT_EQ(ended.status, 0) << ended.out << ended.err;
  EXPECT_EQ(ended.err, "");
  std::vector<Words> found;
  for (const auto& match : matches(ended.out, "^  ([a-z-]+) +(correct|WRONG[a-z, ]*)$")) {
    found.push_back({match[1], match[2]});
  }
  ASSERT_EQ(found.size(), all_names.size()) << ended.out;
  for (std::size_t i = 0; i < all_names.size(); ++i) {
    EXPECT_EQ(found[i][0], all_names[i]);
    EXPECT_EQ(found[i][1], all_names[i] == "wrong-lstm" ? "WRONG, as it should be" : "correct");
  }
  EXPECT_TRUE(contains(ended.out, "errors drawn: " + svg() + "\n"));
}

TEST_F(GradientCheck, NamesTheWrongEntries) {
  const Ended ended = run({"--cell", "wrong-lstm", "--no-svg"});
  ASSERT_EQ(ended.status, 0) << ended.out << ended.err;
  EXPECT_EQ(verdicts(ended.out), (Words{"WRONG", "WRONG", "correct", "WRONG", "WRONG", "WRONG"}));
  // The fault is in the forget gate: of 4 times 5 columns only the second five are wrong.
  const auto wrong =
      matches(ended.out,
              "^  gradient of '(Wx|Wh|b)' at \\((?:[0-9]+,)?([0-9]+)\\): analytic (\\S+), numeric "
              "(\\S+)\n    difference (\\S+), explained by rounding (\\S+); wrong in ([0-9]+) of "
              "([0-9]+) entries$");
  ASSERT_EQ(wrong.size(), 3U) << ended.out;
  for (const auto& match : wrong) {
    const int column = std::stoi(match[2]);
    EXPECT_TRUE(column >= 5 && column < 10) << match[0];
    const double difference = std::stod(match[5]);
    EXPECT_NEAR(std::abs(std::stod(match[3]) - std::stod(match[4])), difference, 0.01 * difference);
    EXPECT_GT(difference, 1e6 * std::stod(match[6]));
    EXPECT_EQ(4 * std::stoi(match[7]), std::stoi(match[8])) << match[0];
  }
}

TEST_F(GradientCheck, PicturesTheErrors) {
  const Words arguments{"--cell", "wrong-lstm", "--no-svg"};
  const Ended blocks = run(arguments);
  const Ended ascii = run(arguments, "C");
  EXPECT_TRUE(std::all_of(ascii.out.begin(), ascii.out.end(), [](char c) { return c > 0; }));
  EXPECT_EQ(run(arguments, "C.utf8").out, blocks.out);  // another spelling
  const auto plain = matches(ascii.out, "^  (\\S+) +([.:=+*#@-]{21})  least (\\S+) at step \\S+$");
  EXPECT_EQ(
      matches(blocks.out, "^  (\\S+) +(?:▁|▂|▃|▄|▅|▆|▇|█){21}  least (\\S+) at step \\S+$").size(),
      6U)
      << blocks.out;
  ASSERT_EQ(plain.size(), 6U) << ascii.out;
  for (const auto& match : plain) {
    const std::string curve = match[2];
    if (match[1] == "state[1]") {  // the only correct one: a valley
      EXPECT_TRUE(contains(curve, ".")) << match[0];
      EXPECT_TRUE(contains("+*#@", curve.substr(0, 1))) << match[0];
      EXPECT_TRUE(contains("+*#@", curve.substr(20))) << match[0];
      EXPECT_LT(std::stod(match[3]), 1e-9);
    } else {
      EXPECT_EQ(curve.find_first_not_of("#@"), curve.npos) << match[0];
      EXPECT_GT(std::stod(match[3]), 1e-3);
    }
  }
}

TEST_F(GradientCheck, TheDrawingIsWellFormed) {
  ASSERT_EQ(draw({}).status, 0);
  const std::string drawing = slurp(svg());
  EXPECT_TRUE(drawing.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_FALSE(contains(drawing, "nan") || contains(drawing, "inf"));
  const Words names = elements(drawing);
  EXPECT_EQ(count(names, "svg"), 1U);
  // A curve for each input of each check, and as many titles.
  const std::size_t inputs = 5 + 5 + 6 + 5 + 6 + 7 + 13 + 6;
  EXPECT_EQ(count(names, "polyline"), inputs);
  EXPECT_EQ(matches(drawing, "<title>[^<]+: correct</title>").size(), inputs - 5);
  EXPECT_EQ(matches(drawing, "<title>[^<]+: WRONG</title>").size(), 5U);
  for (const std::string& name : all_names) EXPECT_TRUE(contains(drawing, ">" + name + "<"));
  // Each over all its steps, and inside the picture.
  std::smatch box;
  ASSERT_TRUE(std::regex_search(drawing, box, std::regex("viewBox=\"0 0 ([0-9]+) ([0-9]+)\"")));
  const double width = std::stod(box[1]), height = std::stod(box[2]);
  for (const auto& curve : matches(drawing, "points=\"([^\"]*)\"")) {
    const std::string points = curve[1];
    const auto each = matches(points, "([0-9.]+),([0-9.]+) ");
    EXPECT_EQ(each.size(), 21U);
    // From the smallest step to the largest.
    EXPECT_LT(std::stod(each.front()[1]), std::stod(each.back()[1]));
    for (const auto& point : each) {
      EXPECT_LT(std::stod(point[1]), width);
      EXPECT_LT(std::stod(point[2]), height);
    }
  }
}

TEST_F(GradientCheck, ChecksWhatItIsTold) {
  const Ended ended = draw(
      {"--cell", "peephole", "--cell", "gru", "--hidden", "2", "--inputs", "1", "--batch", "1"});
  ASSERT_EQ(ended.status, 0) << ended.out << ended.err;
  EXPECT_TRUE(contains(ended.out, "\npeephole: ") && contains(ended.out, "\ngru: "));
  EXPECT_FALSE(contains(ended.out, "\nlstm: "));
  EXPECT_EQ(count(elements(slurp(svg())), "polyline"), 6U + 7U);
  EXPECT_TRUE(contains(ended.out, "gradcheck: correct, 33 entries checked one by one"))
      << ended.out;
  // x is (steps, batch, inputs).
  const Ended sequence = run({"--cell", "lstm-sequence", "--steps", "5", "--batch", "2", "--inputs",
                              "3", "--hidden", "4", "--no-svg"});
  EXPECT_EQ(matches(sequence.out, "^  x +\\(5,2,3\\) ").size(), 1U) << sequence.out;
}

TEST_F(GradientCheck, SmallestSizesAndFastMode) {
  for (const Words& words :
       {Words{"--hidden", "1", "--inputs", "1", "--batch", "1", "--steps", "1"}, Words{"--fast"},
        Words{"--fast", "--hidden", "20", "--seed", "3"}}) {
    const Ended ended = draw(words);
    EXPECT_EQ(ended.status, 0) << ended.out << ended.err;
    EXPECT_EQ(contains(ended.out, "checked one by one"), words[0] != "--fast");
    EXPECT_TRUE(contains(ended.out, "  wrong-lstm        WRONG, as it should be\n"));
    if (words[0] != "--fast") continue;
    EXPECT_TRUE(std::regex_search(ended.out, std::regex("gradient of 'Wh' along a random direction"
                                                        "[^;]*; wrong in 4 projections\n")))
        << ended.out;
  }
}

TEST_F(GradientCheck, TheSeedDecidesTheOutput) {
  const auto output = [&](const char* seed) {
    const Ended ended = draw({"--seed", seed, "--cell", "lstm-sequence", "--cell", "lstm"});
    EXPECT_EQ(ended.status, 0) << ended.out;
    return ended.out + slurp(svg());
  };
  const std::string one = output("1");
  EXPECT_EQ(output("1"), one);
  EXPECT_NE(output("2"), one);
  // What is checked besides does not matter.
  const std::string all = run({"--seed", "1", "--no-svg"}).out;
  const std::size_t begin = one.find("\nlstm: "), end = one.find("\nlstm-sequence: ");
  ASSERT_LT(begin, end);
  EXPECT_TRUE(contains(all, one.substr(begin, end - begin)));
}

TEST_F(GradientCheck, DrawsInTheCurrentFolderUnlessToldNotTo) {
  const std::string enter = "cd '" + folder().string() + "' && ";
  EXPECT_EQ(shell(enter + "\"$0\" --cell lstm --no-svg").status, 0);
  EXPECT_EQ(shell(enter + "\"$0\" --cell lstm --svg ''").status, 0);
  EXPECT_TRUE(fs::is_empty(folder()));
  const Ended ended = shell(enter + "\"$0\" --cell lstm");
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_TRUE(contains(ended.out, "errors drawn: gradient_check.svg\n"));
  EXPECT_TRUE(fs::exists(folder() / "gradient_check.svg"));
}

TEST_F(GradientCheck, ReportsWhatItCannotWrite) {
  const std::string nowhere = svg() + "/none/errors.svg";
  const Ended ended = run({"--cell", "rnn-tanh", "--svg", nowhere});
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(ended.err, "gradient_check: cannot write " + nowhere + ": No such file or directory\n");
  if (!fs::exists("/dev/full")) return;
  const Ended full = run({"--cell", "rnn-tanh", "--svg", "/dev/full"});
  EXPECT_EQ(full.status, 1);
  EXPECT_EQ(full.err, "gradient_check: cannot write /dev/full: No space left on device\n");
  const Ended output = shell("\"$0\" --no-svg > /dev/full");
  EXPECT_EQ(output.status, 1);
  EXPECT_EQ(output.err, "gradient_check: cannot write the output\n");
}

TEST_F(GradientCheck, RefusesBadArguments) {
  for (const Words& words :
       {Words{"--cell", "lstn"}, Words{"--hidden", "0"}, Words{"--batch", "-1"},
        Words{"--seed", "-1"}, Words{"--seed", "x"}, Words{"--steps", "1.5"}, Words{"--inputs"},
        Words{"lstm"}, Words{"--no-svg", "--svg", svg()}, Words{"--unknown"}}) {
    const Ended ended = run(words);
    EXPECT_EQ(ended.status, 2) << words[0] << ended.out;
    EXPECT_EQ(ended.out, "") << words[0];
    EXPECT_TRUE(contains(ended.err, words[0])) << ended.err;
  }
  EXPECT_FALSE(fs::exists(svg()));
  EXPECT_TRUE(contains(run({"--cell", "lstn"}).err, "gru-reset-before"));  // those there are
  const Ended help = run({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* option : {"--cell", "--seed", "--fast", "--hidden", "--inputs", "--batch",
                             "--steps", "--svg", "--no-svg", "Exit status: 0"}) {
    EXPECT_TRUE(contains(help.out, option)) << option;
  }
}

TEST_F(GradientCheck, UsesNoColorsInAFile) {
  EXPECT_FALSE(contains(run({"--no-svg"}).out, "\033"));
}

}  // namespace
