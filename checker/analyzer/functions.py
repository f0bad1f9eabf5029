"""Functions that governed SQL may call: pure ones, whose result depends on their arguments alone."""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    """The words of `text`."""
    return frozenset(text.split())


OPERATORS = frozenset(
    {
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "^",
        "**",
        "||",
        "->",
        "->>",
        "~~",
        "!~~",
        "~~*",
        "!~~*",
        "&",
        "|",
        "<<",
        ">>",
        "@>",
        "<@",
    }
)

# The result does not depend on the order of the rows.
ORDER_FREE_AGGREGATES = _names("""
    bool_and bool_or bit_and bit_or bit_xor count count_if count_star countif max min median quantile quantile_cont
    quantile_disc percentile_cont percentile_disc
    """)

# Sums of doubles and picks of a row do: rows are put in order first.
ORDERED_AGGREGATES = _names("""
    any_value arg_max arg_min arg_max_null arg_min_null avg corr covar_pop covar_samp entropy favg first fsum geomean
    geometric_mean group_concat histogram kahan_sum kurtosis kurtosis_pop last list array_agg listagg mad max_by mean
    min_by mode product regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy
    sem skewness stddev stddev_pop stddev_samp string_agg sum sumkahan sum_no_overflow var_pop var_samp variance
    """)

WINDOW_FUNCTIONS = _names("""
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank rank_dense row_number
    """)

SCALARS = _names("""
    abs ceil ceiling exp floor gcd greatest isfinite isinf isnan lcm least ln log log10 log2 mod pi pow power round
    round_even sign signbit sqrt cbrt trunc even
    ascii chr concat concat_ws contains ends_with format_bytes instr left length len lower ltrim position prefix
    regexp_extract regexp_full_match regexp_matches regexp_replace replace reverse right rtrim split split_part
    starts_with str_split string_split strip_accents strlen strpos substr substring suffix trim ucase lcase upper
    hash md5 sha1 sha256 to_base64 from_base64 encode decode hex unhex
    date_add date_diff datediff date_part datepart date_sub date_trunc datetrunc day dayname dayofmonth dayofweek
    dayofyear epoch epoch_ms epoch_ns epoch_us hour last_day make_date make_time make_timestamp microsecond
    millisecond minute month monthname quarter second strftime strptime time_bucket to_days to_hours to_microseconds
    to_milliseconds to_minutes to_months to_seconds to_weeks to_years try_strptime week weekday weekofyear year
    array_length element_at json_array_length json_contains json_exists json_extract json_extract_path
    json_extract_path_text json_extract_string json_keys json_type json_valid json_value list_avg
    list_concat list_contains list_count list_distinct list_extract list_filter list_first list_has list_last
    list_max list_median list_min list_position list_reduce list_reverse list_slice list_sort list_sum list_transform
    list_unique list_value map_extract map_keys map_values struct_extract struct_pack row array_extract
    coalesce if ifnull nullif constant_or_null typeof error
    unnest range generate_series grouping
    """)

TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})

ALLOWED = OPERATORS | ORDER_FREE_AGGREGATES | ORDERED_AGGREGATES | WINDOW_FUNCTIONS | SCALARS

# Names that DuckDB's binder turns into a function where no column has them.
SQL_VALUE_NAMES = _names("""
    current_catalog current_database current_date current_localtime current_localtimestamp current_role current_schema
    current_time current_timestamp current_user localtime localtimestamp session_user user
    """)
