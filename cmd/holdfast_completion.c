/*
 * holdfast_completion.c: `completion`: scripts for bash and zsh that complete subcommands, options, their values, words and files, out of
 * the tables that parsing and --help read. A shell loads them once and asks no server.
 */
#include "cmd/holdfast_programs.h"

#include <stdio.h>
#include <string.h>

const char cli_completion_more[] =
    "  bash: source <(holdfast completion bash)     in ~/.bashrc\n"
    "  zsh:  source <(holdfast completion zsh)      in ~/.zshrc, behind compinit\n"
    "'make install' puts both where the shells look by themselves.\n";

/* ---- bash ---- */

/* What stands there in front of the cursor: which subcommand, and does an option wait for its value? */
static const char bash_body[] =
    "_holdfast() {\n"
    "\tlocal program=${1##*/} current=${COMP_WORDS[COMP_CWORD]} command= option= place=0 i word kind\n"
    "\tCOMPREPLY=()\n"
    "\t[[ $program == holdfast ]] || command=$program\n"
    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
    "\t\tword=${COMP_WORDS[i]}\n"
    "\t\tif [[ $word == ':' ]]; then\n" /* bash parts HOST:PORT in three */
    "\t\t\t((i++))\n"
    "\t\telif [[ $word == '=' ]]; then\n"
    "\t\t\toption=${COMP_WORDS[i - 1]}\n"
    "\t\telif [[ -n $option ]]; then\n"
    "\t\t\toption=\n"
    "\t\telif [[ $word == --* ]]; then\n"
    "\t\t\t[[ -n $(_holdfast_value \"$command\" \"$word\") ]] && option=$word\n"
    "\t\telif [[ -z $command ]]; then\n"
    "\t\t\tcommand=$word\n"
    "\t\telse\n"
    "\t\t\t((place++))\n"
    "\t\tfi\n"
    "\tdone\n"
    "\tif [[ $current == '=' ]]; then\n"
    "\t\toption=${COMP_WORDS[COMP_CWORD - 1]} current=\n"
    "\tfi\n"
    "\tif [[ -n $option ]]; then\n"
    "\t\tkind=$(_holdfast_value \"$command\" \"$option\")\n"
    "\telif [[ $current == -* ]]; then\n"
    "\t\tkind=\"words $(_holdfast_options \"$command\")\"\n"
    "\telif [[ -z $command ]]; then\n"
    "\t\tkind=\"words $(_holdfast_commands)\"\n"
    "\telse\n"
    "\t\tkind=$(_holdfast_place \"$command\" \"$place\")\n"
    "\tfi\n"
    "\tcase $kind in\n"
    "\twords*) mapfile -t COMPREPLY < <(compgen -W \"${kind#words}\" -- \"$current\") ;;\n"
    "\tfile) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
    "\tfolder) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- \"$current\") ;;\n"
    "\tesac\n"
    "}\n"
    "complete -F _holdfast holdfast holdfastd holdfast-gate holdfast-bench\n";

static void
bash_kind(const char *arg)
{
	char words[256];
	switch (arg_kind(arg, words)) {
	case ARG_WORDS:
		printf("'words %s'", words);
		break;
	case ARG_FILE:
		fputs("file", stdout);
		break;
	case ARG_DIR:
		fputs("folder", stdout);
		break;
	case ARG_OTHER:
		fputs("something", stdout);
		break;
	}
}

static void
bash_values(const char *command, const struct cli_option *o)
{
	for (; o && o->name; o++)
		if (o->arg) {
			printf("\t%s/--%s) echo ", command, o->name);
			bash_kind(o->arg);
			puts(" ;;");
		}
}

static void
bash_option_names(const struct cli_option *o)
{
	for (; o && o->name; o++)
		printf(" --%s", o->name);
}

/* The options of a subcommand of `holdfast`, or of another program, by its name. */
static void
bash_options(const struct cli *cli, const struct program *all)
{
	puts("_holdfast_options() {\n\tcase $1 in");
	for (const struct cli_command *c = cli->commands; c->name; c++) {
		printf("\t%s) echo", c->name);
		bash_option_names(c->options);
		bash_option_names(cli->globals);
		puts(" ;;");
	}
	for (int i = 1; i < PROGRAMS; i++) {
		printf("\t%s) echo", all[i].name);
		bash_option_names(all[i].options);
		puts(" ;;");
	}
	fputs("\t*) echo", stdout);
	bash_option_names(cli->globals);
	puts(" ;;\n\tesac\n}");
}

static void
bash(const struct cli *cli, const struct program *all)
{
	puts("# bash completion of holdfast, holdfastd, holdfast-gate and holdfast-bench: written by 'holdfast completion bash'");
	puts("_holdfast_commands() {\n\techo \"help");
	for (const struct cli_command *c = cli->commands; c->name; c++)
		printf("%s\n", c->name);
	puts("\"\n}");
	bash_options(cli, all);
	puts("# What the value of an option is; nothing: it takes none.\n_holdfast_value() { # COMMAND OPTION\n\tcase $1/$2 in");
	for (const struct cli_command *c = cli->commands; c->name; c++)
		bash_values(c->name, c->options);
	for (int i = 1; i < PROGRAMS; i++)
		bash_values(all[i].name, all[i].options);
	bash_values("*", cli->globals);
	puts("\tesac\n}\n# What the word at a place is.\n_holdfast_place() { # COMMAND PLACE\n\tcase $1/$2 in");
	for (const struct cli_command *c = cli->commands; c->name; c++) {
		printf("\t%s/0) echo ", c->name);
		bash_kind(c->args);
		puts(" ;;");
	}
	for (int i = 1; i < PROGRAMS; i++)
		if (all[i].commands)
			printf("\t%s/0) echo 'words %s' ;;\n\t%s/1) echo file ;;\n", all[i].name, all[i].commands, all[i].name);
	puts("\thelp/0) echo \"words $(_holdfast_commands)\" ;;\n\tesac\n}");
	fputs(bash_body, stdout);
}

/* ---- zsh ---- */

/* Inside single quotes of the shell, inside brackets and between colons of _arguments. */
static void
zsh_text(const char *s)
{
	for (; *s; s++)
		if (*s == '\'')
			fputs("'\\''", stdout);
		else if (strchr("[]:\\", *s))
			printf("\\%c", *s);
		else
			putchar(*s);
}

static void
zsh_action(const char *arg)
{
	char words[256];
	switch (arg_kind(arg, words)) {
	case ARG_WORDS:
		printf("(%s)", words);
		break;
	case ARG_FILE:
		fputs("_files", stdout);
		break;
	case ARG_DIR:
		fputs("_files -/", stdout);
		break;
	case ARG_OTHER:
		putchar(' ');
		break;
	}
}

static void
zsh_options(const struct cli_option *o)
{
	for (; o && o->name; o++) {
		printf(" \\\n\t\t'%s--%s[", strstr(o->help, "(repeatable)") ? "*" : "", o->name);
		zsh_text(o->help);
		putchar(']');
		if (o->arg) {
			putchar(':');
			zsh_text(o->arg);
			putchar(':');
			zsh_action(o->arg);
		}
		putchar('\'');
	}
}

static void
zsh_command(const struct cli *cli, const struct cli_command *c)
{
	printf("\t%s) _arguments -S", c->name);
	zsh_options(c->options);
	zsh_options(cli->globals);
	char words[256];
	bool first_only = arg_kind(c->args, words) == ARG_WORDS;
	printf(" \\\n\t\t'%s:", first_only ? "1" : "*");
	zsh_text(*c->args ? c->args : "nothing");
	putchar(':');
	zsh_action(c->args);
	puts("' ;;");
}

static void
zsh(const struct cli *cli, const struct program *all)
{
	puts("#compdef holdfast holdfastd holdfast-gate holdfast-bench\n# zsh completion: written by 'holdfast completion zsh'");
	puts("_holdfast_subcommands() {\n\tlocal -a commands\n\tcommands=(");
	for (const struct cli_command *c = cli->commands; c->name; c++) {
		printf("\t\t'%s:", c->name);
		zsh_text(c->help);
		puts("'");
	}
	puts("\t)\n\t_describe subcommand commands\n}\n_holdfast_subcommand() {\n\tcase $words[1] in");
	for (const struct cli_command *c = cli->commands; c->name; c++)
		zsh_command(cli, c);
	puts("\thelp) _arguments '1:subcommand:_holdfast_subcommands' ;;\n\tesac\n}\n_holdfast() {\n\tcase $service in");
	fputs("\tholdfast) _arguments -S", stdout);
	zsh_options(cli->globals);
	puts(" \\\n\t\t'1:subcommand:_holdfast_subcommands' '*::argument:_holdfast_subcommand' ;;");
	for (int i = 1; i < PROGRAMS; i++) {
		printf("\t%s) _arguments -S", all[i].name);
		zsh_options(all[i].options);
		if (all[i].commands)
			printf(" \\\n\t\t'1:command:(%s)' '*:file:_files'", all[i].commands);
		puts(" ;;");
	}
	/* Loaded by compinit the file is the function's body; sourced it must register itself. */
	puts("\tesac\n}\nif [[ $funcstack[1] == _holdfast ]]; then\n\t_holdfast \"$@\"\nelse\n"
	    "\tcompdef _holdfast holdfast holdfastd holdfast-gate holdfast-bench\nfi");
}

int
cli_completion(struct cli *cli, int argc, char **argv)
{
	static const struct {
		const char *shell;
		void (*print)(const struct cli *, const struct program *);
	} row[] = { { "bash", bash }, { "zsh", zsh } };
	for (size_t i = 0; argc == 1 && i < sizeof row / sizeof *row; i++)
		if (strcmp(argv[0], row[i].shell) == 0) {
			row[i].print(cli, programs(cli));
			return CLI_OK;
		}
	return cli_usage(cli, "for which shell? bash or zsh");
}
