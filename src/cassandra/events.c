/* Schema events. What a client changes is told at once, from its result. What others change beside the door (the project's own
 * tables at start, the page's query box) is found by comparing snapshots of the schema, a few times a second. */
#include "cassandra/server_int.h"
#include "table/schema.h"

#define LOOK_MS 250

void tm_cass_events_push(struct tm_cassandra_server *s, struct tm_str change, struct tm_str target, struct tm_str keyspace,
			 struct tm_str name)
{
	struct tm_buf body = {0};
	tm_cass_event_write(&body, change, target, keyspace, name);
	for (struct tm_cass_conn *c = s->conns, *next; c; c = next) {
		next = c->next; /* a flush may close it */
		if (!c->registered || c->ending || c->closed)
			continue;
		tm_cass_writer_put(&c->writer, 0, -1, TM_CASS_EVENT, tm_buf_str(&body));
		tm_cass_conn_flush(c);
	}
	tm_buf_done(&body);
}

static bool types_equal(const struct tm_cql_type *a, const struct tm_cql_type *b)
{
	struct tm_buf x = {0}, y = {0};
	tm_cql_type_text(a, &x);
	tm_cql_type_text(b, &y);
	bool equal = tm_str_eq(tm_buf_str(&x), tm_buf_str(&y));
	tm_buf_done(&x);
	tm_buf_done(&y);
	return equal;
}

static bool tables_equal(const struct tm_table *a, const struct tm_table *b)
{
	if (memcmp(a->def.id, b->def.id, sizeof a->def.id) != 0 || a->def.column_count != b->def.column_count ||
	    a->index_count != b->index_count || !tm_str_eq(a->params.comment, b->params.comment) ||
	    a->params.default_time_to_live != b->params.default_time_to_live)
		return false;
	for (size_t i = 0; i < a->def.column_count; i++)
		if (!tm_str_eq(a->def.columns[i].name, b->def.columns[i].name) ||
		    !types_equal(a->def.columns[i].type, b->def.columns[i].type))
			return false;
	return true;
}

static bool udts_equal(const struct tm_cql_type *a, const struct tm_cql_type *b)
{
	if (a->arg_count != b->arg_count)
		return false;
	for (size_t i = 0; i < a->arg_count; i++)
		if (!tm_str_eq(a->field_names[i], b->field_names[i]) || !types_equal(a->args[i], b->args[i]))
			return false;
	return true;
}

/* was or is is NULL for a keyspace that is new or gone. Types come before the tables that use them, and go after them. */
static void keyspace_compare(struct tm_cassandra_server *s, const struct tm_keyspace *was, const struct tm_keyspace *is)
{
	struct tm_str name = is ? is->name : was->name, keyspace = TM_STR("KEYSPACE"), table = TM_STR("TABLE"), type = TM_STR("TYPE");
	struct tm_str created = TM_STR("CREATED"), updated = TM_STR("UPDATED"), dropped = TM_STR("DROPPED"), none = {0};
	if (!was)
		tm_cass_events_push(s, created, keyspace, name, none);
	for (size_t i = 0; is && i < is->type_count; i++) {
		const struct tm_cql_type *old = was ? tm_keyspace_type(was, is->types[i]->name) : NULL;
		if (!old || !udts_equal(old, is->types[i]))
			tm_cass_events_push(s, old ? updated : created, type, name, is->types[i]->name);
	}
	for (size_t i = 0; is && i < is->table_count; i++) {
		const struct tm_table *old = was ? tm_keyspace_table(was, is->tables[i]->def.name) : NULL;
		if (!old || !tables_equal(old, is->tables[i]))
			tm_cass_events_push(s, old ? updated : created, table, name, is->tables[i]->def.name);
	}
	for (size_t i = 0; was && i < was->table_count; i++)
		if (!is || !tm_keyspace_table(is, was->tables[i]->def.name))
			tm_cass_events_push(s, dropped, table, name, was->tables[i]->def.name);
	for (size_t i = 0; was && i < was->type_count; i++)
		if (!is || !tm_keyspace_type(is, was->types[i]->name))
			tm_cass_events_push(s, dropped, type, name, was->types[i]->name);
	if (!is)
		tm_cass_events_push(s, dropped, keyspace, name, none);
}

void tm_cass_events_look(struct tm_cassandra_server *s)
{
	if (s->seen_schema && s->seen_schema->sequence == tm_store_schema_sequence(s->store))
		return;
	const struct tm_schema *was = s->seen_schema, *is = tm_store_schema(s->store);
	s->seen_schema = is;
	if (!was)
		return;
	for (size_t i = 0; i < is->keyspace_count; i++)
		keyspace_compare(s, tm_schema_keyspace(was, is->keyspaces[i].name), &is->keyspaces[i]);
	for (size_t i = 0; i < was->keyspace_count; i++)
		if (!tm_schema_keyspace(is, was->keyspaces[i].name))
			keyspace_compare(s, &was->keyspaces[i], NULL);
	tm_schema_unref(s->store, was);
}

void tm_cass_events_told(struct tm_cassandra_server *s)
{
	if (s->seen_schema)
		tm_schema_unref(s->store, s->seen_schema);
	s->seen_schema = tm_store_schema(s->store);
}

static void on_look(uv_timer_t *timer) { tm_cass_events_look(timer->data); }

void tm_cass_events_start(struct tm_cassandra_server *s)
{
	tm_cass_events_told(s);
	uv_timer_start(&s->look, on_look, LOOK_MS, LOOK_MS);
}
