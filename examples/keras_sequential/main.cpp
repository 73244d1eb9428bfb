// keras_sequential: an LSTM, as one writes it in Keras, forecasts a series and draws the forecast
#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>

#include <xgrad/core/error.hpp>
#include <xgrad/core/random.hpp>
#include <xgrad/core/threads.hpp>
#include <xgrad/nn/fit.hpp>
#include <xgrad/nn/sequential.hpp>
#include <xgrad/nn/training/progress_bar.hpp>

#include "drawing.hpp"
#include "errors.hpp"
#include "series.hpp"
#include "windows.hpp"

namespace keras_sequential {
namespace {

using namespace xgrad;

struct Options {
  std::string csv, column, svg = "forecast.svg";
  bool ignore_times = false, linear = false;
  std::size_t lags = 12, test = 0, season = 12;
  Index epochs = 100;
  std::uint64_t seed = 0;
};

/// The results for `test`, of a network trained on `train`; `validation` picks the epoch.
Tensor train_and_predict(const Windows& train, const Windows& validation, const Windows& test,
                         Index epochs) {
  nn::Sequential model({nn::layers::LSTM(50, {.return_sequences = true}),  //
                        nn::layers::LSTM(20), nn::layers::Dense(1)});
  const nn::History history = nn::fit(model, train.x, train.y,
                                      {.epochs = epochs,
                                       .batch_size = 32,
                                       .validation = {validation.x, validation.y},
                                       .restore_best = true,
                                       .callback = nn::ProgressBar{std::cerr}});
  std::cout << model.summary() << "best epoch: " << history.best_epoch << '\n';
  return nn::predict(model, test.x);
}

void print(const std::string& name, const ForecastErrors& e) {
  std::printf("%-24s %10.4g %10.4g\n", name.c_str(), e.mae, e.rmse);
}

void run(const Options& options) {
  const Series series = options.csv.empty()
                            ? oscillator(600, options.seed)
                            : read_series(options.csv, options.column, options.ignore_times);
  const std::vector<double>& values = series.values;
  const std::size_t test = options.test > 0 ? options.test : values.size() / 6;

  // In the order of time: training, of which the last fifth is for validation, then test.
  constexpr std::size_t fewest = 10;
  const std::size_t needed = std::max(options.lags + fewest, options.season) + test;
  if (values.size() < needed) {
    throw Error("the series '" + series.name + "' is too short: it has " +
                std::to_string(values.size()) + " values; " + std::to_string(options.lags) +
                " lags, a season of " + std::to_string(options.season) + ", " +
                std::to_string(test) + " test values and at least " + std::to_string(fewest) +
                " to train on need " + std::to_string(needed));
  }
  const std::size_t test_begin = values.size() - test;
  const std::size_t validation_begin = test_begin - (test_begin - options.lags) / 5;
  const auto test_part = values.begin() + static_cast<std::ptrdiff_t>(test_begin);
  const Windowing windowing({values.begin(), test_part}, options.lags, options.linear);
  std::cout << series.name << ": " << values.size() << " values, the last " << test
            << " for the test" << (windowing.logarithmic() ? "; logarithmic scale" : "") << "\n\n";

  set_threads(1);  // the model is small: several threads would only wait for each other
  seed(options.seed);
  const Tensor results =
      train_and_predict(windowing.windows(values, options.lags, validation_begin),
                        windowing.windows(values, validation_begin, test_begin),
                        windowing.windows(values, test_begin, values.size()), options.epochs);
  const std::vector<double> forecasts = windowing.forecasts(values, test_begin, results);

  const std::span truth(test_part, values.end());
  const auto before = [&](std::size_t steps) {
    return errors({test_part - static_cast<std::ptrdiff_t>(steps), truth.size()}, truth);
  };
  std::printf("\n%-24s %10s %10s\n", "one step ahead, test", "MAE", "RMSE");
  print("LSTM", errors(forecasts, truth));
  print("naive (last value)", before(1));
  print("seasonal (" + std::to_string(options.season) + " back)", before(options.season));
  if (!options.svg.empty()) {
    draw(options.svg, series, {"LSTM, one step ahead", forecasts});
    std::printf("\nforecast drawn: %s\n", options.svg.c_str());
  }
}

int main(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Forecasts a series one step ahead with LSTM(50), LSTM(20), Dense(1), and compares the\n"
      "error with that of simple forecasts. Without --csv the series is a noisy oscillator.");
  app.option_defaults()->take_last();
  auto* csv = app.add_option("--csv", options.csv, "a file of comma-separated values");
  app.add_option("--column", options.column, "the column to forecast")->needs(csv);
  app.add_flag("--ignore-times", options.ignore_times,
               "do not check that the times in the first column are evenly spaced");
  app.add_flag("--linear", options.linear,
               "forecast the values even where their logarithms change more evenly");
  const auto positive = CLI::Range(std::size_t{1}, std::size_t{1} << 30);
  app.add_option("--lags", options.lags, "how many values the network sees")
      ->check(positive)
      ->capture_default_str();
  app.add_option("--test", options.test, "how many of the last values to test on [a sixth]")
      ->check(positive);
  app.add_option("--season", options.season, "how many steps back the seasonal forecast looks")
      ->check(positive)
      ->capture_default_str();
  app.add_option("--epochs", options.epochs, "passes over the training part")
      ->check(positive)
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of all random numbers")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--svg", options.svg, "where to draw the forecast; '' for nowhere")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
    if (!std::cout.flush() || std::fflush(stdout) != 0 || std::ferror(stdout)) {
      throw Error("cannot write the output");
    }
  } catch (const std::exception& error) {
    std::cout.flush();
    std::cerr << "keras_sequential: " << error.what() << '\n';
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace keras_sequential

int main(int argc, char** argv) { return keras_sequential::main(argc, argv); }
