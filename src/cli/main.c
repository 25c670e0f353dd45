/* main: finds the command. It uses the library's public header only. */
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/suggest.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct command commands[] = {
    {"generate", COMMAND_GENERATE,
     "[options] PROMPT|-\n       inference generate [options] --batch FILE|-",
     "Generate text from a prompt, or answer a batch of requests",
     "PROMPT - reads it from standard input, byte for byte. The text is printed as it comes.\n"
     "A batch line is a JSON object: \"prompt\" or \"messages\", and what else is said of a "
     "request, "
     "by the\n"
     "option's name with underscores (\"adapter_id\", \"max_tokens\", ...); \"id\" comes back with "
     "the answer.\n"
     "Options on the command line are the defaults of every line.\n",
     check_generate, run_generate},
    {"adapters", COMMAND_ADAPTERS, "[options] list | load ID=PATH | unload ID",
     "List, load or unload adapters",
     "For an in-process provider, load checks the adapter against -m MODEL and prints the report;\n"
     "it is loaded for no longer than the command runs.\n",
     check_adapters, run_adapters},
    {"inspect", COMMAND_INSPECT, "[options] PATH", "Print what a model or an adapter is, as JSON",
     "PATH is a GGUF file, a PEFT directory, or a checkpoint's directory or hub id.\n",
     check_inspect, run_inspect},
    {"tokenize", COMMAND_TOKENIZE, "-m MODEL [options] <TEXT",
     "Print the tokens of standard input as a JSON array of ids",
     "With --jsonl: a JSON string a line, an array a line.\n", check_text, run_tokenize},
    {"detokenize", COMMAND_DETOKENIZE, "-m MODEL [options] <IDS",
     "Print the text of a JSON array of ids from standard input",
     "With --jsonl: an array a line, a JSON string a line.\n", check_text, run_detokenize},
    {"render", COMMAND_RENDER, "-m MODEL [options] <MESSAGES",
     "Print chat messages as the model's template renders them",
     "Standard input is a JSON array of messages, or an object with \"messages\" and further "
     "template\n"
     "variables.\n",
     check_text, run_render},
    {"logits", COMMAND_LOGITS, "-m MODEL --ids 1,2,3 [options]",
     "Print the logits behind the last of some tokens",
     "As {\"top\":[[id,logit],...],\"probe\":[logit,...]}; the KV cache is in f32.\n", check_logits,
     run_logits},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

static int print_help(void)
{
    puts("Usage: inference COMMAND [options]\n\n"
         "Text generation with language models and LoRA adapters.\n\nCommands:");
    for (size_t i = 0; i < N_COMMANDS; i++)
        printf("  %-11s %s\n", commands[i].name, commands[i].summary);
    puts("\n'inference COMMAND --help' lists a command's options; 'inference --version' the "
         "version.\n"
         "Exit codes: 0 fine, 2 usage, and for each kind of error:");
    for (int32_t code = 1; inf_error_exit_code(code) != 1; code++)
        printf("  %2d  %s\n", inf_error_exit_code(code), inf_error_text(code));
    return 0;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int no_command(const char *name)
{
    static const char *const others[] = {"--help", "--version", "help"};
    struct suggestion best = {0};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if ((others[i][0] == '-') == (name[0] == '-'))
            suggest(&best, name, strlen(name), others[i]);
    for (size_t i = 0; name[0] != '-' && i < N_COMMANDS; i++)
        suggest(&best, name, strlen(name), commands[i].name);
    if (best.name)
        return usage_error(NULL, "no command '%s'; did you mean %s?", name, best.name);
    return usage_error(NULL, "no command '%s'", name);
}

static int help(int argc, char **argv)
{
    const struct command *command = argc > 2 ? find_command(argv[2]) : NULL;

    if (argc > 2 && !command)
        return no_command(argv[2]);
    if (!command)
        return print_help();
    options_print_help(command);
    return 0;
}

static void print_version(void)
{
    inf_provider_info info;

    printf("inference %s\nproviders:", inf_version_string());
    for (int32_t type = 1; inf_provider_type_info(&info, sizeof info, type) == INF_OK; type++)
        if (!info.missing)
            printf(" %s", info.name);
    printf("\n%s", inf_build_info());
}

/* Help that could not be written is an error too. */
static int finish(int exit_code)
{
    inf_error err;

    if (exit_code != 0 || output_error(&err) == INF_OK)
        return exit_code;
    return report_error(&err);
}

static int run(const struct command *command, int argc, char **argv)
{
    struct settings s;
    struct session session = {0};
    inf_error err = {0};
    inf_error broken = {0};
    int exit_code = settings_parse(&s, command, argc, argv);

    if (exit_code == 0)
        exit_code = command->check(command, &s);
    if (exit_code == 0) {
        command->run(&session, &s, &err);
        session_close(&session, &err);
        if (output_error(&broken) != INF_OK)
            err = broken; /* not what was cancelled for it */
        exit_code = err.code == INF_OK ? 0 : report_error(&err);
    }
    settings_free(&s);
    return exit_code < 0 ? finish(0) : exit_code;
}

int main(int argc, char **argv)
{
    const struct command *command = NULL;

    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of the write, of help's too */
    if (argc < 2)
        return usage_error(NULL, "a command is missing");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return finish(help(argc, argv));
    if (strcmp(argv[1], "--version") == 0) {
        print_version();
        return finish(0);
    }
    if (strcmp(argv[1], "--options") == 0) { /* for the check that the documentation has them all */
        options_print_all(commands, N_COMMANDS);
        return finish(0);
    }
    command = find_command(argv[1]);
    if (!command)
        return no_command(argv[1]);
    interrupt_init();
    return run(command, argc - 2, argv + 2);
}
