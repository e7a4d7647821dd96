/* The codec against bytes that Cassandra 5.0 and a driver sent, and against itself. */
#include "cassandra/protocol.h"
#include "cassandra/server_int.h"
#include "unit.h"

static struct tm_buf unhex(const char *text)
{
	struct tm_buf b = {0};
	for (; *text; text += 2) {
		unsigned v;
		CHECK(sscanf(text, "%2x", &v) == 1);
		tm_buf_u8(&b, (uint8_t)v);
	}
	return b;
}

TEST(segment_bytes_as_a_driver_makes_them)
{
	struct tm_cass_writer w = {.version = 5, .segmented = true};
	struct tm_buf out = {0}, want = unhex("090002a4c8c10500000005000000001086284d");
	tm_cass_writer_put(&w, 0, 0, TM_CASS_OPTIONS, (struct tm_str){0});
	tm_cass_writer_flush(&w, &out);
	CHECK(tm_str_eq(tm_buf_str(&out), tm_buf_str(&want)));
	tm_buf_done(&want);
	out.len = 0;
	want = unhex("0900000004c2b8950500000005000000001086284d");
	w.compression = TM_CASS_LZ4;
	tm_cass_writer_put(&w, 0, 0, TM_CASS_OPTIONS, (struct tm_str){0});
	tm_cass_writer_flush(&w, &out);
	CHECK(tm_str_eq(tm_buf_str(&out), tm_buf_str(&want)));
	tm_buf_done(&out);
	tm_buf_done(&want);
	tm_cass_writer_done(&w);
}

/* Envelopes of many sizes, fed in pieces, come out as they went in. */
static void round_trip(int version, bool segmented, enum tm_cass_compression compression, size_t piece)
{
	static const size_t sizes[] = {0, 1, 100, 5000, 131062, 131063, 400000};
	struct tm_cass_writer w = {.version = version, .segmented = segmented, .compression = compression};
	struct tm_cass_reader r;
	struct tm_buf out = {0}, body = {0};
	tm_cass_reader_init(&r, true);
	r.version = version;
	r.segmented = segmented;
	r.compression = compression;
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		body.len = 0;
		for (size_t k = 0; k < sizes[i]; k++)
			tm_buf_char(&body, (char)(k * 7 + k / 251));
		tm_cass_writer_put(&w, 0, (int16_t)i, TM_CASS_QUERY, tm_buf_str(&body));
	}
	tm_cass_writer_flush(&w, &out);
	size_t seen = 0;
	for (size_t at = 0; at < out.len; at += piece) {
		tm_cass_reader_feed(&r, out.at + at, out.len - at < piece ? out.len - at : piece);
		struct tm_cass_envelope e;
		struct tm_cass_fault f;
		enum tm_cass_read rc;
		while ((rc = tm_cass_reader_next(&r, &e, &f)) == TM_CASS_ENVELOPE) {
			CHECK_INT(e.stream, seen);
			CHECK_INT(e.body.len, sizes[seen]);
			for (size_t k = 0; k < e.body.len; k++)
				if (e.body.at[k] != (char)(k * 7 + k / 251))
					FAIL("byte %zu of envelope %zu differs", k, seen);
			seen++;
		}
		CHECK(rc == TM_CASS_MORE);
	}
	CHECK_INT(seen, sizeof sizes / sizeof sizes[0]);
	tm_cass_reader_done(&r);
	tm_cass_writer_done(&w);
	tm_buf_done(&out);
	tm_buf_done(&body);
}

TEST(envelopes_survive_every_framing)
{
	static const size_t pieces[] = {1000, 65536, 1 << 24};
	for (size_t i = 0; i < 3; i++) {
		round_trip(3, false, TM_CASS_PLAIN, pieces[i]);
		round_trip(4, false, TM_CASS_LZ4, pieces[i]);
		round_trip(4, false, TM_CASS_SNAPPY, pieces[i]);
		round_trip(5, true, TM_CASS_PLAIN, pieces[i]);
		round_trip(5, true, TM_CASS_LZ4, pieces[i]);
	}
	round_trip(5, true, TM_CASS_PLAIN, 17);
}

TEST(a_wrong_checksum_ends_the_connection)
{
	struct tm_buf in = unhex("090002a4c8c10500000005000000001086284e");
	struct tm_cass_reader r;
	struct tm_cass_envelope e;
	struct tm_cass_fault f;
	tm_cass_reader_init(&r, true);
	r.version = 5;
	r.segmented = true;
	tm_cass_reader_feed(&r, in.at, in.len);
	CHECK(tm_cass_reader_next(&r, &e, &f) == TM_CASS_FAULT);
	CHECK(f.close && f.code == TM_CASS_E_PROTOCOL);
	CHECK(tm_cass_reader_next(&r, &e, &f) == TM_CASS_MORE);
	tm_cass_reader_done(&r);
	tm_buf_done(&in);
}

TEST(an_unknown_version_is_refused_in_the_words_drivers_look_for)
{
	struct tm_buf in = unhex("420000010500000000");
	struct tm_cass_reader r;
	struct tm_cass_envelope e;
	struct tm_cass_fault f;
	tm_cass_reader_init(&r, true);
	tm_cass_reader_feed(&r, in.at, in.len);
	CHECK(tm_cass_reader_next(&r, &e, &f) == TM_CASS_FAULT);
	CHECK_STR(tm_str_of(f.text), "Invalid or unsupported protocol version (66); supported versions are (3/v3, 4/v4, 5/v5, 6/v6-beta)");
	CHECK_INT(f.version, 5);
	CHECK_INT(f.stream, 1);
	CHECK(!f.close);
	tm_cass_reader_done(&r);
	tm_buf_done(&in);
}

TEST(an_oversized_envelope_is_skipped_not_stored)
{
	struct tm_cass_reader r;
	struct tm_cass_envelope e;
	struct tm_cass_fault f;
	struct tm_buf in = unhex("040000030701000001");
	char *junk = calloc(1, 1 << 20);
	tm_cass_reader_init(&r, true);
	r.version = 4;
	tm_cass_reader_feed(&r, in.at, in.len);
	CHECK(tm_cass_reader_next(&r, &e, &f) == TM_CASS_MORE);
	for (int i = 0; i < 16; i++) {
		tm_cass_reader_feed(&r, junk, 1 << 20);
		CHECK(tm_cass_reader_next(&r, &e, &f) == TM_CASS_MORE);
		CHECK(tm_cass_reader_held_bytes(&r) < 1 << 16);
	}
	tm_cass_reader_feed(&r, junk, 1);
	CHECK(tm_cass_reader_next(&r, &e, &f) == TM_CASS_FAULT);
	CHECK_INT(f.stream, 3);
	free(junk);
	tm_cass_reader_done(&r);
	tm_buf_done(&in);
}

TEST(requests_read_as_written)
{
	for (int version = 3; version <= 5; version++) {
		struct tm_arena arena;
		struct tm_err err = {0};
		struct tm_buf body = {0};
		struct tm_cass_request in = {.opcode = TM_CASS_EXECUTE,
					     .id = TM_STR("0123456789abcdef"),
					     .result_metadata_id = TM_STR("fedcba9876543210"),
					     .skip_metadata = true},
				       out;
		struct tm_cql_value values[3] = {{.bytes = TM_STR("abc")}, {.null = true}, {.unset = true}};
		tm_arena_init(&arena);
		tm_cass_options_init(&in.options);
		in.options.values = values;
		in.options.value_count = 3;
		in.options.page_size = 77;
		in.options.paging_state = TM_STR("state");
		in.options.timestamp_us = -5;
		in.options.now_in_seconds = version >= 5 ? 1000 : INT64_MIN;
		tm_cass_request_write(&body, version, &in);
		struct tm_cass_envelope e = {.version = version, .opcode = TM_CASS_EXECUTE, .body = tm_buf_str(&body)};
		CHECK_OK(tm_cass_request_read(&e, &arena, &out, &err), err);
		CHECK_STR(out.id, "0123456789abcdef");
		CHECK(out.skip_metadata && out.options.page_size == 77 && out.options.timestamp_us == -5);
		CHECK_INT(out.options.now_in_seconds, in.options.now_in_seconds);
		CHECK_STR(out.options.paging_state, "state");
		CHECK_INT(out.options.value_count, 3);
		CHECK_STR(out.options.values[0].bytes, "abc");
		CHECK(out.options.values[1].null && out.options.values[2].unset);
		for (size_t cut = 0; cut < body.len; cut++) {
			e.body.len = cut;
			CHECK(tm_cass_request_read(&e, &arena, &out, &err) != TM_OK);
		}
		tm_buf_done(&body);
		tm_arena_done(&arena);
	}
}

TEST(a_result_of_every_type_reads_as_written)
{
	struct tm_cql_type tint = {.kind = TM_CQL_INT}, ttext = {.kind = TM_CQL_VARCHAR}, tfloat = {.kind = TM_CQL_FLOAT},
			   tdate = {.kind = TM_CQL_DATE};
	const struct tm_cql_type *two[] = {&tint, &ttext}, *one[] = {&tfloat}, *dates[] = {&tdate};
	struct tm_str fields[] = {TM_STR("a"), TM_STR("b")};
	struct tm_cql_type map = {.kind = TM_CQL_MAP, .arg_count = 2, .args = two},
			   vec = {.kind = TM_CQL_VECTOR, .arg_count = 1, .args = one, .dimension = 2},
			   udt = {.kind = TM_CQL_UDT,
				  .arg_count = 2,
				  .args = two,
				  .keyspace = TM_STR("w"),
				  .name = TM_STR("u"),
				  .field_names = fields},
			   list = {.kind = TM_CQL_LIST, .arg_count = 1, .args = dates}, dur = {.kind = TM_CQL_DURATION};
	struct tm_cql_column_spec columns[] = {{TM_STR("w"), TM_STR("t"), TM_STR("m"), &map},
					       {TM_STR("w"), TM_STR("t"), TM_STR("v"), &vec},
					       {TM_STR("w"), TM_STR("t"), TM_STR("u"), &udt},
					       {TM_STR("w"), TM_STR("t"), TM_STR("l"), &list},
					       {TM_STR("w"), TM_STR("t"), TM_STR("d"), &dur}};
	struct tm_cql_value values[10] = {{.bytes = TM_STR("x")}, {.null = true}};
	values[9].bytes = TM_STR("last");
	for (int i = 2; i < 9; i++)
		values[i].null = true;
	struct tm_cql_result in = {
	    .kind = TM_CQL_ROWS, .columns = columns, .column_count = 5, .values = values, .row_count = 2, .paging_state = TM_STR("more")};
	for (int version = 3; version <= 5; version++) {
		struct tm_arena arena;
		struct tm_err err = {0};
		struct tm_buf body = {0};
		struct tm_cass_response out;
		tm_arena_init(&arena);
		tm_cass_result_write(&body, version, &in, NULL);
		struct tm_cass_envelope e = {.version = version, .opcode = TM_CASS_RESULT, .body = tm_buf_str(&body)};
		CHECK_OK(tm_cass_response_read(&e, NULL, &arena, &out, &err), err);
		CHECK_INT(out.result.row_count, 2);
		CHECK_STR(out.result.paging_state, "more");
		CHECK_INT(out.result.columns[1].type->kind, TM_CQL_VECTOR);
		CHECK_INT(out.result.columns[1].type->dimension, 2);
		CHECK_INT(out.result.columns[1].type->args[0]->kind, TM_CQL_FLOAT);
		CHECK_STR(out.result.columns[2].type->field_names[1], "b");
		CHECK_INT(out.result.columns[3].type->args[0]->kind, TM_CQL_DATE);
		CHECK_INT(out.result.columns[4].type->kind, TM_CQL_DURATION);
		CHECK_STR(out.result.values[9].bytes, "last");
		CHECK(out.result.values[1].null);
		for (size_t cut = 0; cut < body.len; cut++) {
			e.body.len = cut;
			CHECK(tm_cass_response_read(&e, NULL, &arena, &out, &err) != TM_OK);
		}
		tm_buf_done(&body);
		tm_arena_done(&arena);
	}
}

static void md5_is(const char *text, const char *hex)
{
	uint8_t id[16];
	char got[33];
	tm_cass_md5((struct tm_str[]){tm_str_of(text)}, 1, id);
	for (int i = 0; i < 16; i++)
		snprintf(got + 2 * i, 3, "%02x", id[i]);
	CHECK_STR(tm_str_of(got), hex);
}

TEST(ids_are_those_of_cassandra)
{
	md5_is("", "d41d8cd98f00b204e9800998ecf8427e");
	md5_is("SELECT v, c FROM w.t WHERE k = ? AND c > ?", "17f76844c10d62beba228d69b689b9bf");
	md5_is("12345678901234567890123456789012345678901234567890123456789012345678901234567890", "57edf4a22be3c955ac49da2e2107b67a");
}
TEST_MAIN()
