# Holdfast: every task of a developer's day. `make help` lists them.
SHELL := /bin/bash
B ?= build
CC ?= gcc
OPT ?= -O2
SAN ?=
WARN = -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter -Werror
CFLAGS = -std=gnu11 $(OPT) -g -msse4.2 -fno-omit-frame-pointer $(WARN) -I. -Iinclude $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
LDFLAGS = $(if $(SAN),-fsanitize=$(SAN)) -pthread

all: $(B)/holdfastd
