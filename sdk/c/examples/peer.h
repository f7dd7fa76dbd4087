/* The other end of a pair of pipes: peer.rs, which stands for the station and the authority. In a real device this file is what
 * speaks to the modem. POSIX, beside C99. */
#ifndef PEER_H
#define PEER_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct peer {
	pid_t pid;
	int to, from;
};

static void peer_give_up(const char *why)
{
	fprintf(stderr, "peer: %s\n", why);
	exit(1);
}

static void peer_start(struct peer *peer, const char *program)
{
	int to[2], from[2];
	if (pipe(to) != 0 || pipe(from) != 0) peer_give_up("no pipe");
	peer->pid = fork();
	if (peer->pid < 0) peer_give_up("no fork");
	if (peer->pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[0]), close(to[1]), close(from[0]), close(from[1]);
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	close(to[0]), close(from[1]);
	peer->to = to[1];
	peer->from = from[0];
}

static void peer_stop(struct peer *peer)
{
	int status;
	close(peer->to), close(peer->from);
	if (waitpid(peer->pid, &status, 0) != peer->pid || status != 0) peer_give_up("it failed");
}

static void peer_write(const struct peer *peer, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count = write(peer->to, bytes, length);
		if (count <= 0) peer_give_up("it does not listen");
		bytes += count;
		length -= (size_t)count;
	}
}

static void peer_read(const struct peer *peer, uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t count = read(peer->from, bytes, length);
		if (count <= 0) peer_give_up("it does not answer");
		bytes += count;
		length -= (size_t)count;
	}
}

static void peer_put(uint8_t out[4], size_t value)
{
	int i;
	for (i = 0; i < 4; i++) out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static size_t peer_get(const uint8_t in[4])
{
	return (size_t)in[0] << 24 | (size_t)in[1] << 16 | (size_t)in[2] << 8 | in[3];
}

/* Asks, and puts the answer into the `capacity` bytes at `answer`; its length is returned. A refusal puts its code into `code`, which
 * has room for 64 characters, its epoch into `epoch`, and returns -1. */
static long peer_ask_or(const struct peer *peer, char what, const uint8_t *bytes, size_t length, uint8_t *answer,
                        size_t capacity, char *code, uint32_t *epoch)
{
	uint8_t head[5];
	size_t rest;
	peer_put(head, length + 1);
	head[4] = (uint8_t)what;
	peer_write(peer, head, 5);
	peer_write(peer, bytes, length);
	peer_read(peer, head, 5);
	rest = peer_get(head) - 1;
	if (head[4] == 1) {
		if (rest > capacity) peer_give_up("it answers at too great a length");
		peer_read(peer, answer, rest);
		return (long)rest;
	}
	peer_read(peer, head, 4);
	*epoch = (uint32_t)peer_get(head);
	rest -= 4;
	if (rest > 63) peer_give_up("it refuses at too great a length");
	peer_read(peer, (uint8_t *)code, rest);
	code[rest] = 0;
	return -1;
}

/* The same where nothing is to be refused. */
static size_t peer_ask(const struct peer *peer, char what, const uint8_t *bytes, size_t length, uint8_t *answer,
                       size_t capacity)
{
	char code[64];
	uint32_t epoch;
	long got = peer_ask_or(peer, what, bytes, length, answer, capacity, code, &epoch);
	if (got < 0) {
		fprintf(stderr, "peer: it refuses: %s\n", code);
		exit(1);
	}
	return (size_t)got;
}

/* A proof with the body that travels beside it. */
static size_t peer_prove(const struct peer *peer, const uint8_t *proof, size_t proof_length, const uint8_t *body,
                         size_t body_length, uint8_t *answer, size_t capacity)
{
	size_t length = 4 + proof_length + body_length, got;
	uint8_t *both = malloc(length);
	if (both == NULL) peer_give_up("no memory");
	peer_put(both, proof_length);
	memcpy(both + 4, proof, proof_length);
	if (body_length > 0) memcpy(both + 4 + proof_length, body, body_length);
	got = peer_ask(peer, 'P', both, length, answer, capacity);
	free(both);
	return got;
}

#endif
