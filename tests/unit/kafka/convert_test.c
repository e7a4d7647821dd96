/* Message formats before record batches v2, made by Kafka's 3.9 library (from the vectors): to v2 and back. */
#include "kafka/kafka_int.h"
#include "unit.h"

static const struct {
	const char *name, *hex;
} sets[] = {
    {"v0-none", "00000000000000050000001257e7496e0000000000026b31000000027631000000000000000600000010d5960a780000ffffffff000000027632000000"
		"000000000700000010b643ca6a0000000000026b33ffffffff"},
    {"v0-gzip", "000000000000000700000055e8732fd10001ffffffff000000471f8b08000000000000ff636000035620160a7fee9907e631651b82c832438824031b10"
		"0b5c9dc655c1c0f01f08c0724650397690dc36e75359509dc62015000e8fccb856000000"},
    {"v0-snappy",
     "00000000000000070000006d7f97f5bc0002ffffffff0000005f82534e415050590000000001000000010000004b560000090120050000001257e7496e050f1c026b3"
     "1000000027601060101380600000010d5960a780000ffffffff051c0432000901500700000010b643ca6a0000000000026b33ffffffff"},
    {"v0-lz4", "000000000000000700000068092ac1530003ffffffff0000005a04224d1860401a4b0000001200010091050000001257e7496e0f0080026b31000000027"
	       "60600000200f1000600000010d5960a780000ffffffff1c001032190040000000071c0041b643ca6a0e0070026b33ffffffff00000000"},
    {"v1-none", "00000000000000050000001aa5da6a6201000000018bcfe56800000000026b3100000002763100000000000000060000001811f309c501000000018bcf"
		"e5680affffffff0000000276320000000000000007000000188ea6261a01000000018bcfe56814000000026b33ffffffff"},
    {"v1-gzip", "00000000000000070000006605ef006a01010000018bcfe56814ffffffff000000501f8b08000000000000ff63608003a9a5b7b29218810cc6eef34f33"
		"40224cd98620b2cc10aa02242921f899f3285c15d77f2000ab3182aa6102a9e95ba6260557230236c918a412004432ef516e000000"},
    {"v1-snappy", "00000000000000070000007ebf01baf401020000018bcfe56814ffffffff0000006882534e41505059000000000100000001000000546e0000190134"
		  "1aa5da6a6201000000018bcfe56801181c026b31000000027601060101011d101811f309c501090526100affffffff052400320121010a1c00000018"
		  "8ea6261a15242814000000026b33ffffffff"},
    {"v1-lz4", "00000000000000070000007c58b1330601030000018bcfe56814ffffffff0000006604224d186040825700000016000100e01aa5da6a6201000000018bc"
	       "fe568180080026b3100000002760600000200001d00501811f309c50900012600510affffffff240010322100000a0085000000188ea6261a2400b01400"
	       "0000026b33ffffffff00000000"},
};

static struct tm_str unhex(const char *hex, char *out)
{
	size_t n = strlen(hex) / 2;
	for (size_t i = 0; i < n; i++) {
		unsigned v;
		sscanf(hex + 2 * i, "%2x", &v);
		out[i] = (char)v;
	}
	return tm_str_n(out, n);
}

/* The three records that every set holds. */
static void records_check(const struct tm_record *r, size_t n, bool times)
{
	CHECK_INT(n, 3);
	CHECK_STR(r[0].key, "k1");
	CHECK_STR(r[0].value, "v1");
	CHECK(r[1].key_null && !r[1].value_null);
	CHECK_STR(r[1].value, "v2");
	CHECK(r[2].value_null || r[2].value.len);
	for (size_t i = 0; i < n; i++)
		CHECK_INT(r[i].timestamp_ms, times ? INT64_C(1700000000000) + (int64_t)i * 10 : -1);
}

TEST(every_old_format_becomes_a_batch)
{
	static char bytes[4096];
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
		struct tm_arena arena;
		struct tm_buf out = {0};
		struct tm_err err = {0};
		struct tm_batch_info info;
		struct tm_record *records;
		size_t n;
		tm_arena_init(&arena);
		struct tm_str set = unhex(sets[i].hex, bytes);
		CHECK(kafka_is_old_format(set));
		if (kafka_up_convert(set, &arena, &out, &err) != TM_OK)
			FAIL("%s: %s", sets[i].name, err.what);
		struct tm_str rest = tm_buf_str(&out);
		CHECK_OK(tm_batch_next(&rest, true, &info, &err), err);
		CHECK_INT(rest.len, 0);
		CHECK_OK(tm_batch_records(&info, &arena, &records, &n, &err), err);
		records_check(records, n, sets[i].name[1] == '1');
		/* And down again, which is never compressed: the plain set, but for its offsets. */
		for (int magic = 0; magic < 2; magic++) {
			struct tm_buf down = {0}, up = {0};
			CHECK_OK(kafka_down_convert(tm_buf_str(&out), magic, 0, &arena, &down, &err), err);
			CHECK(kafka_is_old_format(tm_buf_str(&down)) && down.at[16] == magic);
			CHECK_OK(kafka_up_convert(tm_buf_str(&down), &arena, &up, &err), err);
			rest = tm_buf_str(&up);
			CHECK_OK(tm_batch_next(&rest, true, &info, &err), err);
			CHECK_OK(tm_batch_records(&info, &arena, &records, &n, &err), err);
			records_check(records, n, magic == 1 && sets[i].name[1] == '1');
			tm_buf_done(&down);
			tm_buf_done(&up);
		}
		tm_buf_done(&out);
		tm_arena_done(&arena);
	}
}

TEST(a_wrong_checksum_or_a_cut_is_refused)
{
	static char bytes[4096];
	struct tm_arena arena;
	struct tm_buf out = {0};
	struct tm_err err = {0};
	tm_arena_init(&arena);
	struct tm_str set = unhex(sets[0].hex, bytes);
	CHECK(kafka_up_convert(tm_str_n(set.at, set.len - 1), &arena, &out, &err) != TM_OK);
	CHECK_INT(err.code, 2);
	bytes[28] ^= 1;
	CHECK(kafka_up_convert(set, &arena, &out, &err) != TM_OK);
	CHECK_INT(err.code, 2);
	tm_buf_done(&out);
	tm_arena_done(&arena);
}

TEST_MAIN()
