#include "series.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <numbers>
#include <optional>

#include <xgrad/core/error.hpp>
#include <xgrad/core/random.hpp>

#include "csv.hpp"

namespace keras_sequential {
namespace {

template <class T>
std::optional<T> parse(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

bool is_missing(std::string_view text) {
  constexpr std::string_view words[] = {"", "NA", "N/A", "NaN", "nan", "null", "NULL", "-", "?"};
  return std::find(std::begin(words), std::end(words), text) != std::end(words);
}

double number(const Csv& csv, std::size_t row, std::size_t column, const std::string& file) {
  const std::string_view text = trim(csv.rows[row].cells[column]);
  const std::string where =
      file + ": " + place(csv, row) + ", column '" + csv.columns[column] + "': ";
  if (is_missing(text)) throw xgrad::Error(where + "a value is missing: the series has a gap");
  const std::optional<double> value = parse<double>(text);
  if (!value || !std::isfinite(*value)) {
    throw xgrad::Error(where + "'" + std::string(text) + "' is not a number");
  }
  // Sums and differences of a few values must stay finite.
  if (std::abs(*value) > 1e300) throw xgrad::Error(where + std::string(text) + " is too large");
  return *value;
}

std::size_t find_column(const Csv& csv, const std::string& column, const std::string& file) {
  const auto count = std::count(csv.columns.begin(), csv.columns.end(), column);
  if (count == 1) {
    return static_cast<std::size_t>(std::find(csv.columns.begin(), csv.columns.end(), column) -
                                    csv.columns.begin());
  }
  std::string known;
  for (const std::string& name : csv.columns) known += (known.empty() ? "'" : ", '") + name + "'";
  const std::string problem =
      column.empty()
          ? "name a column with --column"
          : (count == 0 ? "there is no column '" : "there are several columns '") + column + "'";
  throw xgrad::Error(file + ": " + problem + "; the first line names the columns " + known);
}

/// The time as a whole number of some unit: days, months, or as it is written. Nothing if it is
/// none of these.
std::optional<long> day_number(std::string_view text) {
  using namespace std::chrono;
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return {};
  const auto y = parse<int>(text.substr(0, 4));
  const auto m = parse<unsigned>(text.substr(5, 2));
  const auto d = parse<unsigned>(text.substr(8, 2));
  if (!y || !m || !d) return {};
  const year_month_day date{year(*y), month(*m), day(*d)};
  if (!date.ok()) return {};
  return sys_days(date).time_since_epoch().count();
}

std::optional<long> month_number(std::string_view text) {
  if (text.size() != 7 || text[4] != '-') return {};
  const auto y = parse<long>(text.substr(0, 4));
  const auto m = parse<long>(text.substr(5, 2));
  if (!y || !m || *m < 1 || *m > 12) return {};
  return 12 * *y + *m - 1;
}

/// All of the times as numbers of one unit, or nothing.
std::vector<long> time_numbers(const std::vector<std::string>& times) {
  const auto all = [&](auto read) {
    std::vector<long> numbers;
    for (const std::string& time : times) {
      const std::optional<long> value = read(trim(time));
      if (!value) return std::vector<long>();
      numbers.push_back(*value);
    }
    return numbers;
  };
  std::vector<long> numbers = all(month_number);
  if (!numbers.empty()) return numbers;
  numbers = all(day_number);
  if (!numbers.empty()) {
    // Always the same day of the month: months, which are of different lengths in days.
    const auto same_day = [&](const std::string& time) {
      return trim(time).substr(8) == trim(times[0]).substr(8);
    };
    if (std::all_of(times.begin(), times.end(), same_day) && times.size() > 1) {
      return all([](std::string_view time) { return month_number(time.substr(0, 7)); });
    }
    return numbers;
  }
  numbers = all(parse<long>);
  // Numbers that do not rise are no times.
  const bool rises =
      std::adjacent_find(numbers.begin(), numbers.end(), std::greater_equal()) == numbers.end();
  return rises ? numbers : std::vector<long>();
}

void check_times(const Csv& csv, const std::vector<std::string>& times, const std::string& file) {
  const std::vector<long> numbers = time_numbers(times);
  if (numbers.size() < 2) return;
  const auto fail = [&](std::size_t row, const std::string& problem) {
    throw xgrad::Error(file + ": " + place(csv, row) + ", column '" + csv.columns[0] +
                       "': " + times[row] + " follows " + times[row - 1] + ": " + problem +
                       " (--ignore-times leaves this unchecked)");
  };
  long step = numbers[1] - numbers[0];
  for (std::size_t i = 1; i < numbers.size(); ++i) {
    if (numbers[i] <= numbers[i - 1]) fail(i, "the times are out of order");
    step = std::min(step, numbers[i] - numbers[i - 1]);
  }
  for (std::size_t i = 1; i < numbers.size(); ++i) {
    const long missing = (numbers[i] - numbers[i - 1]) / step - 1;
    if (numbers[i] - numbers[i - 1] != step) {
      fail(i, "the series has a gap of " + std::to_string(std::max(missing, 1L)) +
                  (missing > 1 ? " values" : " value"));
    }
  }
}

}  // namespace

Series read_series(const std::filesystem::path& path, const std::string& column,
                   bool ignore_times) {
  const std::string file = path.string();
  const Csv csv = read_csv(path);
  const std::size_t index = find_column(csv, column, file);
  Series series{column, {}, {}};
  for (std::size_t row = 0; row < csv.rows.size(); ++row) {
    series.values.push_back(number(csv, row, index, file));
    series.times.push_back(index == 0 ? std::to_string(row + 1) : csv.rows[row].cells[0]);
  }
  if (index != 0 && !ignore_times) check_times(csv, series.times, file);
  return series;
}

Series oscillator(std::size_t count, std::uint64_t seed) {
  xgrad::Generator generator(seed);
  const std::vector<double> noise =
      generator.normal({static_cast<xgrad::Index>(count), 2}, 0, 1, xgrad::DType::float64)
          .to_vector();
  Series series{"noisy oscillator", {}, {}};
  double phase = 0;
  for (std::size_t t = 0; t < count; ++t) {
    phase += 2 * std::numbers::pi / 12 + 0.05 * noise[2 * t];
    series.values.push_back(std::sin(phase) + 0.5 * std::sin(2 * phase) + 0.1 * noise[2 * t + 1]);
    series.times.push_back(std::to_string(t + 1));
  }
  return series;
}

}  // namespace keras_sequential
