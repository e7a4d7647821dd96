/* A stream socket to a Python process: frames in, frames out, and descriptors that travel with a frame. */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "airflow/airflow_int.h"

struct outgoing {
	struct tm_buf bytes;
	size_t sent;
	int fd;
	struct outgoing *next;
};
struct channel {
	uv_poll_t poll;
	int fd;
	struct tm_buf in;
	struct outgoing *out, **out_end;
	channel_message_fn *on_message;
	channel_closed_fn *on_closed;
	void *ctx;
	bool closing, delivering;
};

static void on_poll(uv_poll_t *h, int status, int events);

struct channel *tm_channel_new(uv_loop_t *loop, int fd, channel_message_fn *on_message, channel_closed_fn *on_closed, void *ctx)
{
	struct channel *c = tm_zalloc(sizeof *c);
	c->fd = fd;
	c->on_message = on_message;
	c->on_closed = on_closed;
	c->ctx = ctx;
	c->out_end = &c->out;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	uv_poll_init(loop, &c->poll, fd);
	c->poll.data = c;
	uv_poll_start(&c->poll, UV_READABLE, on_poll);
	return c;
}

static void outgoing_free(struct outgoing *o)
{
	if (o->fd >= 0)
		close(o->fd);
	tm_buf_done(&o->bytes);
	free(o);
}
static void freed(uv_handle_t *h)
{
	struct channel *c = h->data;
	while (c->out) {
		struct outgoing *next = c->out->next;
		outgoing_free(c->out);
		c->out = next;
	}
	tm_buf_done(&c->in);
	free(c);
}
void tm_channel_close(struct channel *c)
{
	if (!c || c->closing)
		return;
	c->closing = true;
	uv_poll_stop(&c->poll);
	close(c->fd);
	uv_close((uv_handle_t *)&c->poll, freed);
}
static void lost(struct channel *c)
{
	if (c->closing)
		return;
	tm_channel_close(c);
	c->on_closed(c->ctx);
}

/* ---- sending ---- */
static ssize_t send_some(struct channel *c, struct outgoing *o)
{
	struct iovec part = {o->bytes.at + o->sent, o->bytes.len - o->sent};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	memset(&control, 0, sizeof control);
	if (o->fd >= 0) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof control.room;
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(h), &o->fd, sizeof(int));
	}
	ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (n > 0 && o->fd >= 0) {
		close(o->fd);
		o->fd = -1;
	}
	return n;
}
static void flush(struct channel *c)
{
	while (c->out && !c->closing) {
		struct outgoing *o = c->out;
		ssize_t n = send_some(c, o);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			uv_poll_start(&c->poll, UV_READABLE | UV_WRITABLE, on_poll);
			return;
		}
		if (n < 0)
			break; /* the reading side sees the end */
		o->sent += (size_t)n;
		if (o->sent < o->bytes.len)
			continue;
		c->out = o->next;
		if (!c->out)
			c->out_end = &c->out;
		outgoing_free(o);
	}
	if (!c->closing)
		uv_poll_start(&c->poll, UV_READABLE, on_poll);
}
void tm_channel_send(struct channel *c, const json_t *message, int fd)
{
	if (!c || c->closing) {
		if (fd >= 0)
			close(fd);
		return;
	}
	struct outgoing *o = tm_zalloc(sizeof *o);
	o->fd = fd;
	tm_frame_put(&o->bytes, message);
	*c->out_end = o;
	c->out_end = &o->next;
	if (c->out == o)
		flush(c);
}

/* ---- receiving ---- */
static void deliver(struct channel *c)
{
	size_t done = 0;
	struct tm_err err = {0};
	while (!c->closing) {
		size_t n;
		json_t *message = NULL;
		if (tm_frame_next(tm_str_n(c->in.at + done, c->in.len - done), &n, &message, &err) != TM_OK) {
			tm_say_err("airflow", &err);
			lost(c);
			return;
		}
		if (!n)
			break;
		done += n;
		c->on_message(c->ctx, message);
		json_decref(message);
	}
	tm_buf_drop_front(&c->in, done);
}
static void on_poll(uv_poll_t *h, int status, int events)
{
	struct channel *c = h->data;
	if (events & UV_WRITABLE)
		flush(c);
	if (c->closing || (!(events & UV_READABLE) && status == 0))
		return;
	for (int i = 0; i < 16 && !c->closing; i++) {
		char *room = tm_buf_reserve(&c->in, 65536);
		ssize_t n = recv(c->fd, room, 65536, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0) {
			deliver(c);
			lost(c);
			return;
		}
		c->in.len += (size_t)n;
		if (n < 65536)
			break;
	}
	deliver(c);
}
