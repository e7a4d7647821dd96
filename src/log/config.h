/* Kafka's topic configs: the table (config.def), checking a value, and the values in force as numbers. */
#ifndef TM_LOG_CONFIG_H
#define TM_LOG_CONFIG_H
#include "log/log.h"

struct tm_settings {
	int64_t retention_ms, retention_bytes, segment_ms, delete_retention_ms, min_compaction_lag_ms, max_compaction_lag_ms;
	int64_t flush_messages, flush_ms; /* only when opted_out */
	int64_t timestamp_before_max_ms, timestamp_after_max_ms;
	int64_t segment_bytes;
	int32_t max_message_bytes, index_interval_bytes;
	double min_cleanable_dirty_ratio;
	bool compact, remove; /* cleanup.policy */
	bool log_append_time;
	bool opted_out;  /* flush.messages or flush.ms is set, and not to 1 message: acks do not wait for fsync */
	bool keep_codec; /* compression.type=producer */
	int codec;       /* enum tm_codec, when not keep_codec */
	int32_t gzip_level, lz4_level, zstd_level;
};
/* Kafka's message for a value that does not fit (code 40), or for an unknown name. */
tm_rc tm_config_check(struct tm_str name, struct tm_str value, struct tm_err *err) TM_CHECKED;
/* The default's text, NULL when there is no such config. */
const char *tm_config_default(struct tm_str name);
struct tm_settings tm_settings_of(const struct tm_log_config *configs, size_t count);
#endif
