# The type of expiry dates, with the rules of the program: a day, which includes its end in UTC, or a time.
{ lib }:

let
  inherit (builtins) elemAt match;

  time = "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
  lengths = [
    31
    28
    31
    30
    31
    30
    31
    31
    30
    31
    30
    31
  ];
  isMultiple = number: of: number / of * of == number;
  isLeapYear = year: isMultiple year 4 && (!(isMultiple year 100) || isMultiple year 400);
  isDay =
    year: month: day:
    1 <= month
    && month <= 12
    && 1 <= day
    && day <= elemAt lengths (month - 1) + (if month == 2 && isLeapYear year then 1 else 0);

  isExpiry =
    text:
    let
      parts = match "([0-9]{4})-([0-9]{2})-([0-9]{2})(${time})?" text;
      number = at: lib.toIntBase10 (elemAt parts at);
    in
    parts != null && isDay (number 0) (number 1) (number 2);
in
lib.types.addCheck lib.types.str isExpiry
// {
  name = "expiry";
  description = "day such as 2027-01-01, or time such as 2027-01-01T12:00:00Z";
  descriptionClass = "noun";
}
