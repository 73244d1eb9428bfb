#include <cmath>
#include <cstdio>
#include <filesystem>
#include <functional>
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
using xgrad::testing::spill;

using Words = std::vector<std::string>;

std::string month(int i) {
  char text[16];
  std::snprintf(text, sizeof text, "%04d-%02d", 1950 + i / 12, 1 + i % 12);
  return text;
}

/// A sales figure that grows and has a season, as a growing business has.
double sales(int i) { return std::exp(4 + 0.01 * i + 0.3 * std::sin(i * 0.5235987755982988)); }

class KerasSequential : public testing::Test {
 protected:
  Ended run(const Words& arguments) const {
    Words words{std::string(XGRAD_EXAMPLES_DIR) + "/keras_sequential", "--svg", svg()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return xgrad::testing::run(words);
  }
  /// The same for a file of this content.
  Ended run_on(const std::string& content, const Words& arguments = {}) const {
    spill(csv(), content);
    Words words{"--csv", csv(), "--column", "Sales", "--epochs", "2"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return run(words);
  }
  /// The message on the error stream; the program must have refused.
  std::string refusal(const std::string& content, const Words& arguments = {}) const {
    fs::remove(svg());
    const Ended ended = run_on(content, arguments);
    EXPECT_EQ(ended.status, 1) << ended.out << ended.err;
    EXPECT_FALSE(fs::exists(svg()));
    EXPECT_TRUE(ended.err.starts_with("keras_sequential: ")) << ended.err;
    return ended.err;
  }

  std::string csv() const { return folder_ / "sales.csv"; }
  std::string svg() const { return folder_ / "forecast.svg"; }

 private:
  xgrad::testing::TemporaryFolder folder_;
};

/// A row of a file: "time",value
std::string row(const std::string& time, const std::string& value, const std::string& end = "\n") {
  std::string text(1, '"');
  text.append(time).append("\",").append(value).append(end);
  return text;
}

/// Months and sales; `skip` leaves out a row, `end` ends the lines.
std::string table(int rows, int skip = -1, const std::string& end = "\n") {
  std::string text = "\"Month\",\"Sales\"" + end;
  for (int i = 0; i < rows; ++i) {
    if (i != skip) text += row(month(i), std::to_string(sales(i)), end);
  }
  return text;
}

/// {MAE, RMSE} of a line of the result.
std::pair<double, double> errors_of(const std::string& out, const std::string& name) {
  std::smatch match;
  const std::regex line("\n" + name + " +([0-9.e+-]+) +([0-9.e+-]+)\n");
  if (!std::regex_search(out, match, line)) {
    ADD_FAILURE() << "no line for " << name << " in\n" << out;
    return {};
  }
  return {std::stod(match[1]), std::stod(match[2])};
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t n = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TEST_F(KerasSequential, BeatsTheSimpleForecastsOfTheOscillator) {
  const Ended ended = run({"--epochs", "30"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_NE(ended.out.find("noisy oscillator: 600 values, the last 100 for the test"),
            std::string::npos);
  EXPECT_NE(ended.out.find("lstm_0   (N,12,50)       10400"), std::string::npos) << ended.out;
  const auto [mae, rmse] = errors_of(ended.out, "LSTM");
  for (const char* simple : {"naive \\(last value\\)", "seasonal \\(12 back\\)"}) {
    const auto [simple_mae, simple_rmse] = errors_of(ended.out, simple);
    EXPECT_LT(mae, simple_mae);
    EXPECT_LT(rmse, simple_rmse);
  }
  EXPECT_EQ(count(ended.err, "\n"), 30U);  // a line for each epoch
}

TEST_F(KerasSequential, ForecastsAColumnOfAFile) {
  const Ended ended = run_on(table(90), {"--test", "24", "--lags", "12", "--epochs", "200"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_NE(ended.out.find("Sales: 90 values, the last 24 for the test; logarithmic scale"),
            std::string::npos)
      << ended.out;
  // What the simple forecasts come to is known.
  double last = 0, last_squares = 0, seasonal = 0, seasonal_squares = 0;
  for (int i = 66; i < 90; ++i) {
    last += std::abs(sales(i) - sales(i - 1)) / 24;
    last_squares += std::pow(sales(i) - sales(i - 1), 2) / 24;
    seasonal += std::abs(sales(i) - sales(i - 12)) / 24;
    seasonal_squares += std::pow(sales(i) - sales(i - 12), 2) / 24;
  }
  const auto naive = errors_of(ended.out, "naive \\(last value\\)");
  EXPECT_NEAR(naive.first, last, 1e-3 * last);
  EXPECT_NEAR(naive.second, std::sqrt(last_squares), 1e-3 * last);
  const auto year = errors_of(ended.out, "seasonal \\(12 back\\)");
  EXPECT_NEAR(year.first, seasonal, 1e-3 * seasonal);
  EXPECT_NEAR(year.second, std::sqrt(seasonal_squares), 1e-3 * seasonal);
  const auto lstm = errors_of(ended.out, "LSTM");
  EXPECT_LT(lstm.first, 0.5 * std::min(last, seasonal));  // this series has no noise
}

TEST_F(KerasSequential, TheSeasonIsTheOneThatIsGiven) {
  const Ended ended = run_on(table(60), {"--test", "12", "--season", "6"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  double expected = 0;
  for (int i = 48; i < 60; ++i) expected += std::abs(sales(i) - sales(i - 6)) / 12;
  EXPECT_NEAR(errors_of(ended.out, "seasonal \\(6 back\\)").first, expected, 1e-3 * expected);
}

// Positive values whose changes do not grow with them are no reason for logarithms.
TEST_F(KerasSequential, AnAdditiveSeriesStaysOnTheLinearScale) {
  std::string content = "Month,Sales\n";
  for (int i = 0; i < 90; ++i) {
    content += row(month(i), std::to_string(10 + i + 4 * std::sin(i * 0.5235987755982988)));
  }
  const Ended ended = run_on(content, {"--test", "24"});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_NE(ended.out.find("Sales: 90 values"), std::string::npos) << ended.out;
  EXPECT_EQ(ended.out.find("logarithmic"), std::string::npos) << ended.out;
}

TEST_F(KerasSequential, LearnsNothingFromTheTestPart) {
  // Two files that differ in the test part: the losses of all epochs are the same.
  const auto losses = [&](const std::string& content) {
    const Ended ended = run_on(content, {"--test", "12"});
    EXPECT_EQ(ended.status, 0) << ended.err;
    return std::regex_replace(ended.err, std::regex(", [0-9.]+ s\n"), "\n");
  };
  std::string other = table(48);
  for (int i = 48; i < 60; ++i) other += row(month(i), "1");
  EXPECT_EQ(losses(table(60)), losses(other));
}

TEST_F(KerasSequential, RefusesTestValuesWithoutALogarithm) {
  for (const std::string value : {"0", "-1"}) {
    std::string content = table(90, 85);
    content += row(month(90), value);
    const Words arguments{"--test", "24", "--ignore-times"};
    const std::string error = refusal(content, arguments);
    EXPECT_NE(error.find("value 90 is " + value + ": it has no logarithm"), std::string::npos)
        << error;
    const Ended linear = run_on(content, {"--test", "24", "--ignore-times", "--linear"});
    EXPECT_EQ(linear.status, 0) << linear.err;
    EXPECT_EQ(linear.out.find("logarithmic"), std::string::npos) << linear.out;
    EXPECT_GT(errors_of(linear.out, "LSTM").first, 0);
    EXPECT_EQ(slurp(svg()).find("nan"), std::string::npos);
  }
}

TEST_F(KerasSequential, ForecastsValuesOfAnyMagnitude) {
  // Multiplied by a power of two all is the same, but for what the factor makes of the errors.
  const auto linear = [](int i) { return std::sin(i * 0.5235987755982988) + 0.1 * std::sin(i); };
  const auto run_scaled = [&](const std::function<double(int)>& value, double factor) {
    std::string content = "Month,Sales\n";
    for (int i = 0; i < 90; ++i) {
      char text[32];
      std::snprintf(text, sizeof text, "%.17g", factor * value(i));
      content += row(month(i), text);
    }
    const Ended ended = run_on(content, {"--test", "24"});
    EXPECT_EQ(ended.status, 0) << ended.err;
    EXPECT_FALSE(std::regex_search(slurp(svg()), std::regex("[ ,\"](-?nan|-?inf)")));
    return ended.out;
  };
  for (const bool logarithmic : {false, true}) {
    const std::function<double(int)> value = linear;
    const auto series = logarithmic ? sales : value;
    const std::string plain = run_scaled(series, 1);
    EXPECT_EQ(plain.find("logarithmic") != std::string::npos, logarithmic) << plain;
    for (const int exponent : {-1000, -664, 664, 960}) {
      SCOPED_TRACE(exponent);
      const std::string out = run_scaled(series, std::ldexp(1, exponent));
      for (const char* name : {"LSTM", "naive \\(last value\\)", "seasonal \\(12 back\\)"}) {
        const auto [mae, rmse] = errors_of(plain, name);
        const auto [scaled_mae, scaled_rmse] = errors_of(out, name);
        // Four digits are printed; logarithms of other values are rounded otherwise.
        EXPECT_NEAR(std::ldexp(scaled_mae, -exponent), mae, 2e-3 * mae) << name;
        EXPECT_NEAR(std::ldexp(scaled_rmse, -exponent), rmse, 2e-3 * rmse) << name;
      }
    }
  }
}

TEST_F(KerasSequential, RefusesValuesOutOfAllProportion) {
  EXPECT_NE(refusal(table(59) + row(month(59), "1e200"), {"--linear"})
                .find("value 60 is 1e+200: it is too far from the values of the training part"),
            std::string::npos);
  EXPECT_NE(refusal(table(59) + row(month(59), "-2e300"))
                .find("row 60 (line 61), column 'Sales': -2e300 is too large"),
            std::string::npos);
  // Denormal values are few bits, but numbers.
  std::string content = "Sales\n";
  for (int i = 0; i < 60; ++i) content += std::to_string(i * i % 7) + "e-322\n";
  EXPECT_EQ(run_on(content, {"--linear"}).status, 0);
  EXPECT_EQ(slurp(svg()).find("nan"), std::string::npos);
}

TEST_F(KerasSequential, TheSeedDecidesTheResult) {
  const auto result = [&](const std::string& seed) {
    return run_on(table(60), {"--seed", seed}).out;
  };
  EXPECT_EQ(result("1"), result("1"));
  EXPECT_NE(result("1"), result("2"));
}

TEST_F(KerasSequential, DrawsSeriesAndForecast) {
  const Ended ended = run_on(table(60), {"--test", "12"});
  ASSERT_EQ(ended.status, 0) << ended.err;
  const std::string drawing = slurp(svg());
  EXPECT_TRUE(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));
  EXPECT_EQ(drawing.find("nan"), std::string::npos);
  std::vector<std::size_t> points;
  const std::regex polyline("points=\"([^\"]*)\"");
  for (auto it = std::sregex_iterator(drawing.begin(), drawing.end(), polyline);
       it != std::sregex_iterator(); ++it) {
    points.push_back(count((*it)[1], ","));
  }
  EXPECT_EQ(points, (std::vector<std::size_t>{60, 12}));
  EXPECT_NE(drawing.find(">Sales<"), std::string::npos);
  EXPECT_NE(drawing.find(">test from " + month(48) + "<"),
            std::string::npos);  // where the test begins
}

TEST_F(KerasSequential, DrawsTheEndOfALongSeries) {
  // A begin that does not change is not in the picture.
  std::string content = "Month,Sales\n";
  for (int i = 0; i < 200; ++i) content += row(month(i), i < 80 ? "7" : std::to_string(sales(i)));
  ASSERT_EQ(run_on(content, {"--test", "12"}).status, 0);
  const std::string drawing = slurp(svg());
  std::smatch curve;
  ASSERT_TRUE(std::regex_search(drawing, curve,
                                std::regex("points=\"[^,]*,([^ ]*) [^,]*,([^ ]*) [^,]*,([^ ]*) ")));
  EXPECT_NE(curve[1], curve[2]);
  EXPECT_NE(curve[2], curve[3]);
  EXPECT_NE(drawing.find(">" + month(80) + "<"), std::string::npos);
}

TEST_F(KerasSequential, EmptySvgDrawsNothing) {
  const Ended ended = run_on(table(60), {"--svg", ""});
  ASSERT_EQ(ended.status, 0) << ended.err;
  EXPECT_FALSE(fs::exists(svg()));
  EXPECT_EQ(ended.out.find("drawn"), std::string::npos);
}

TEST_F(KerasSequential, FormsOfTheSameFileGiveTheSameResult) {
  const std::string plain = run_on(table(60)).out;
  EXPECT_NE(plain.find("Sales: 60 values"), std::string::npos);
  EXPECT_EQ(run_on(table(60, -1, "\r\n")).out, plain);
  std::string content = table(60);
  content.pop_back();  // no final line end
  EXPECT_EQ(run_on(content).out, plain);
  EXPECT_EQ(run_on("\xef\xbb\xbf" + content + "\n\n").out, plain);
  std::string unquoted = std::regex_replace(content, std::regex("\""), "");
  EXPECT_EQ(run_on(unquoted).out, plain);
  // A quoted cell may hold what separates cells and lines.
  std::string more = std::regex_replace(content, std::regex("\n"), ",\"a \"\"b\"\", c\nd\"\n");
  EXPECT_EQ(run_on(more + ",e").out, plain);
}

TEST_F(KerasSequential, NamesAFileThatIsNotThere) {
  const Ended ended = run({"--csv", csv(), "--column", "Sales"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_EQ(ended.err, "keras_sequential: cannot read " + csv() + ": No such file or directory\n");
}

TEST_F(KerasSequential, NamesTheColumnsThereAre) {
  EXPECT_NE(
      refusal(table(60), {"--column", "sales"})
          .find("there is no column 'sales'; the first line names the columns 'Month', 'Sales'"),
      std::string::npos);
  spill(csv(), table(60));
  EXPECT_NE(run({"--csv", csv()})
                .err.find("name a column with --column; the first line names the columns 'Month'"),
            std::string::npos);
  EXPECT_NE(refusal("Sales,Sales\n1,2\n").find("there are several columns 'Sales'"),
            std::string::npos);
}

TEST_F(KerasSequential, NamesAValueThatIsNoNumber) {
  std::string content = table(20) + row(month(20), "many");
  EXPECT_NE(refusal(content).find(csv() + ": row 21 (line 22), column 'Sales': 'many' is not a "
                                          "number"),
            std::string::npos);
  content = table(20) + row(month(20), "12x");
  EXPECT_NE(refusal(content).find("'12x' is not a number"), std::string::npos);
  content = table(20) + row(month(20), "inf");
  EXPECT_NE(refusal(content).find("'inf' is not a number"), std::string::npos);
  // Behind a cell of two lines, the rows are not the lines.
  content = "Month,Sales,Note\n1950-01,1,\"two\nlines\"\n1950-02,2,\n1950-03,many,\n";
  EXPECT_NE(refusal(content).find("row 3 (line 5), column 'Sales': 'many' is not"),
            std::string::npos);
}

TEST_F(KerasSequential, NamesAGap) {
  for (const char* missing : {"", " ", "NA", "nan"}) {
    const std::string content = table(20) + row(month(20), missing) + row(month(21), "5");
    EXPECT_NE(refusal(content).find(
                  "row 21 (line 22), column 'Sales': a value is missing: the series has a gap"),
              std::string::npos);
  }
  EXPECT_NE(refusal(table(60, 30))
                .find("row 31 (line 32), column 'Month': 1952-08 follows 1952-06: the series has a "
                      "gap of 1 value"),
            std::string::npos);
  EXPECT_NE(refusal(table(60, 1)).find("row 2 (line 3), column 'Month': 1950-03 follows 1950-01"),
            std::string::npos);
  EXPECT_EQ(run_on(table(60, 30), {"--ignore-times"}).status, 0);
}

TEST_F(KerasSequential, KnowsDaysMonthsAndNumbersAsTimes) {
  const auto with_times = [](const std::function<std::string(int)>& time) {
    std::string text = "When,Sales\n";
    for (int i = 0; i < 40; ++i) text += time(i) + "," + std::to_string(sales(i)) + "\n";
    return text;
  };
  const auto february = [](int i) {  // of a leap year
    return i < 29 ? "2020-02-" + std::string(i < 9 ? "0" : "") + std::to_string(i + 1)
                  : "2020-03-" + std::string(i < 38 ? "0" : "") + std::to_string(i - 28);
  };
  EXPECT_EQ(run_on(with_times(february)).status, 0);
  EXPECT_NE(refusal(with_times([&](int i) {
              return february(i < 28 ? i : i + 1);
            })).find("2020-03-01 follows 2020-02-28: the series has a gap of 1 value"),
            std::string::npos);
  EXPECT_EQ(run_on(with_times([](int i) { return month(i) + "-15"; })).status, 0);
  EXPECT_NE(refusal(with_times([](int i) {
              return month(i + (i > 5)) + "-15";
            })).find("the series has a gap of 1 value"),
            std::string::npos);
  EXPECT_NE(refusal(with_times([](int i) {
              return month(i == 7 ? 6 : i);
            })).find("the times are out of order"),
            std::string::npos);
  EXPECT_NE(refusal(with_times([](int i) {
              return std::to_string(1900 + i + 3 * (i > 9));
            })).find("1913 follows 1909: the series has a gap of 3 values"),
            std::string::npos);
  // Numbers that do not rise, and words, are no times.
  EXPECT_EQ(run_on(with_times([](int i) { return std::to_string(i * 7 % 10); })).status, 0);
  EXPECT_EQ(run_on(with_times([](int i) { return "week " + std::to_string(2 * i); })).status, 0);
}

TEST_F(KerasSequential, RefusesAShortOrConstantSeries) {
  EXPECT_NE(refusal(table(45), {"--test", "24"})
                .find("the series 'Sales' is too short: it has 45 values; 12 lags, a season of 12, "
                      "24 test values and at least 10 to train on need 46"),
            std::string::npos);
  EXPECT_EQ(run_on(table(46), {"--test", "24"}).status, 0);
  EXPECT_NE(refusal("Sales\n").find("it has 0 values"), std::string::npos);
  std::string constant = "Sales\n";
  for (int i = 0; i < 60; ++i) constant += "5\n";
  EXPECT_NE(refusal(constant).find("the training part is constant"), std::string::npos);
}

TEST_F(KerasSequential, RefusesADamagedFile) {
  EXPECT_NE(refusal("").find("the file is empty"), std::string::npos);
  EXPECT_NE(refusal(table(20) + "1951-09\n")
                .find("row 21 (line 22) has 1 cells, the first line "
                      "has 2"),
            std::string::npos);
  EXPECT_NE(refusal(table(20) + "\"1951-09,3\n").find("line 22: a quote is not closed"),
            std::string::npos);
  EXPECT_NE(refusal(table(20) + "\"1951\"-09,3\n").find("line 22: there is text after a quote"),
            std::string::npos);
}

TEST_F(KerasSequential, RefusesBadArguments) {
  EXPECT_NE(run({"--lags", "0"}).status, 0);
  EXPECT_NE(run({"--epochs", "-3"}).status, 0);
  EXPECT_NE(run({"--column", "x"}).err.find("--csv"), std::string::npos);
  EXPECT_NE(run({"--lag", "3"}).status, 0);
  const Ended help = run({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* option : {"--csv", "--column", "--lags", "--test", "--season", "--epochs",
                             "--seed", "--svg", "--ignore-times", "--linear"}) {
    EXPECT_NE(help.out.find(option), std::string::npos) << option;
  }
  const Ended ended = run({"--epochs", "1", "--svg", svg() + "/none/x.svg"});
  EXPECT_EQ(ended.status, 1);
  EXPECT_NE(ended.err.find("cannot write " + svg() + "/none/x.svg: No such file or directory"),
            std::string::npos);
}

}  // namespace
