#include "csv.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include <xgrad/core/error.hpp>

namespace keras_sequential {
namespace {

std::string slurp(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) throw xgrad::Error(path.string() + " is a folder");
  std::ifstream in(path, std::ios::binary);
  if (!in) throw xgrad::Error("cannot read " + path.string() + ": " + std::strerror(errno));
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Splits the text into rows of cells.
class Parser {
 public:
  Parser(std::string text, std::string file) : text_(std::move(text)), file_(std::move(file)) {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;  // byte order mark
  }

  /// False at the end. Lines without any text are passed over.
  bool next(Csv::Row& row) {
    while (at_ < text_.size() && end_of_line()) {
    }
    if (at_ == text_.size()) return false;
    row = {{}, line_};
    do {
      row.cells.push_back(cell());
    } while (at_ < text_.size() && text_[at_] == ',' && ++at_);
    if (at_ < text_.size() && !end_of_line()) {
      throw xgrad::Error(file_ + ": line " + std::to_string(line_) +
                         ": there is text after a quote");
    }
    return true;
  }

 private:
  bool end_of_line() {
    if (text_.compare(at_, 2, "\r\n") == 0) {
      at_ += 2;
    } else if (text_[at_] == '\n') {
      ++at_;
    } else {
      return false;
    }
    ++line_;
    return true;
  }

  std::string cell() {
    std::string content;
    if (at_ < text_.size() && text_[at_] == '"') {
      const std::size_t begin = line_;
      for (++at_;; ++at_) {
        if (at_ == text_.size()) {
          throw xgrad::Error(file_ + ": line " + std::to_string(begin) + ": a quote is not closed");
        }
        if (text_[at_] == '"') {
          if (text_.compare(at_ + 1, 1, "\"") != 0) break;
          ++at_;
        }
        line_ += text_[at_] == '\n';
        content += text_[at_];
      }
      ++at_;
    } else {
      const std::size_t end = std::min(text_.find_first_of(",\n", at_), text_.size());
      content = text_.substr(at_, end - at_);
      at_ = end;
      if (content.ends_with('\r') && at_ < text_.size() && text_[at_] == '\n') {
        content.pop_back();
        --at_;
      }
    }
    return content;
  }

  std::string text_, file_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

}  // namespace

Csv read_csv(const std::filesystem::path& path) {
  Parser parser(slurp(path), path.string());
  Csv csv;
  Csv::Row row;
  if (!parser.next(row)) throw xgrad::Error(path.string() + ": the file is empty");
  csv.columns = row.cells;
  while (parser.next(row)) {
    csv.rows.push_back(row);
    if (row.cells.size() != csv.columns.size()) {
      throw xgrad::Error(path.string() + ": " + place(csv, csv.rows.size() - 1) + " has " +
                         std::to_string(row.cells.size()) + " cells, the first line has " +
                         std::to_string(csv.columns.size()));
    }
  }
  return csv;
}

std::string place(const Csv& csv, std::size_t row) {
  return "row " + std::to_string(row + 1) + " (line " + std::to_string(csv.rows[row].line) + ")";
}

}  // namespace keras_sequential
