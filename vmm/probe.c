/* SPDX-License-Identifier: MIT */
/*
 * probe.c: facts about this host first (device, processor, modules), then the
 * experiment (probe_try.c), then a verdict and what to do about it.
 */
#include "vmm/probe.h"

#include "vmm/board.h"
#include "vmm/probe_try.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <unistd.h>

#define PROBE_VERSION 1 /* of the JSON */

struct probe {
	int err; /* of kvm_dev_open() */
	char why[256];
	bool svm, vmx, hypervisor; /* the processor's flags */
	char module[16];           /* "kvm_amd", ...; "" when none */
	char nested[8];            /* its parameter "nested"; "" when it has none */
	unsigned max_vcpus;
	const char *lacks; /* a KVM capability, or NULL */
	struct probe_try t[PROBE_TRIES];
	bool stock; /* the verdict */
};

/* Does the list of flags hold `flag` as a word? */
static bool probe_has_flag(const char *flags, const char *flag)
{
	size_t len = strlen(flag);

	for (const char *p = flags; (p = strstr(p, flag)); p += len)
		if (p > flags && p[-1] == ' ' && (p[len] == ' ' || p[len] == '\n' || !p[len]))
			return true;
	return false;
}

static void probe_cpu(struct probe *p)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		if (strncmp(line, "flags", 5) != 0)
			continue;
		p->svm = probe_has_flag(line, "svm");
		p->vmx = probe_has_flag(line, "vmx");
		p->hypervisor = probe_has_flag(line, "hypervisor");
		break;
	}
	free(line);
	if (f)
		fclose(f);
}

/* The driver under KVM; a software one beats the others, which may be built in idle. */
static void probe_module(struct probe *p)
{
	static const char *const names[] = { "kvm_pvm", "kvm_amd", "kvm_intel" };
	bool usable[] = { true, p->svm, p->vmx };
	char path[64];

	for (unsigned i = 0; i < ARRAY_SIZE(names) && !p->module[0]; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/sys/module/%s", names[i]);
		if (!usable[i] || access(path, F_OK) != 0)
			continue;
		snprintf(p->module, sizeof(p->module), "%s", names[i]);
		snprintf(path, sizeof(path), "/sys/module/%s/parameters/nested", names[i]);
		f = fopen(path, "re");
		if (f && fscanf(f, "%7s", p->nested) != 1)
			p->nested[0] = '\0';
		if (f)
			fclose(f);
	}
}

static const char *probe_driver(const struct probe *p)
{
	if (!strcmp(p->module, "kvm_amd"))
		return "SVM";
	if (!strcmp(p->module, "kvm_intel"))
		return "VMX";
	/* KVM without either can only be interpreting, or a hypercall to one that does. */
	return p->module[0] || !(p->svm || p->vmx) ? "software" : "unknown";
}

const char *probe_flavour(void)
{
	struct probe p = { 0 };

	probe_cpu(&p);
	probe_module(&p);
	return probe_driver(&p);
}

static void probe_device(struct probe *p)
{
	int fd = kvm_dev_open(KVM_DEVICE, p->why, sizeof(p->why));

	p->err = fd < 0 ? fd : 0;
	if (fd < 0)
		return;
	p->max_vcpus = (unsigned)kvm_dev_cap(fd, KVM_CAP_MAX_VCPUS);
	p->lacks = kvm_dev_lacks(fd);
	close(fd);
}

static void probe_verdict(struct probe *p)
{
	if (p->err || p->lacks)
		return;
	probe_try_all(p->t);
	p->stock = true;
	for (unsigned i = 0; i < PROBE_TRIES; i++)
		p->stock = p->stock && p->t[i].ok;
}

static const char *probe_state(const struct probe *p)
{
	switch (p->err) {
	case 0:
		return "usable";
	case -ENOENT:
	case -ENODEV:
		return "absent";
	case -EACCES:
		return "no permission";
	case -ENOTTY:
		return "not KVM";
	default:
		return "unusable";
	}
}

static const char *probe_advice_absent(const struct probe *p)
{
	if (p->svm)
		return "load the module: modprobe kvm_amd";
	if (p->vmx)
		return "load the module: modprobe kvm_intel";
	if (p->hypervisor)
		return "this host is a virtual machine without virtualization of its own: turn on "
		       "nesting in the hypervisor above (kvm_amd or kvm_intel nested=1, guest CPU "
		       "\"host\"), or run the command in tools/lab";
	return "turn on SVM or VT-x in the firmware's setup, or run the command in tools/lab";
}

static const char *probe_advice(const struct probe *p)
{
	if (p->stock)
		return "nothing";
	if (p->err == -ENOENT || p->err == -ENODEV)
		return probe_advice_absent(p);
	if (p->err == -EACCES)
		return "join the device's group (sudo usermod -aG kvm $USER) and log in again";
	if (p->err == -ENOTTY)
		return "remove the file and load the module anew (modprobe -r kvm; modprobe "
		       "kvm_amd "
		       "or kvm_intel)";
	if (p->err || p->lacks)
		return "run a newer kernel on this host";
	return "run the command in tools/lab, which brings a processor with SVM of its own; small "
	       "bare-metal guests work here";
}

static void probe_print_processor(const struct probe *p)
{
	printf("processor   %s%s\n",
	       p->svm   ? "has SVM"
	       : p->vmx ? "has VMX"
			: "shows neither SVM nor VMX",
	       p->hypervisor ? "; this host is a virtual machine itself" : "");
	if (p->module[0])
		printf("module      %s%s%s\n", p->module, p->nested[0] ? ", nested=" : "",
		       p->nested);
}

static void probe_print(const struct probe *p)
{
	printf("/dev/kvm    %s\n", probe_state(p));
	probe_print_processor(p);
	if (p->err) {
		printf("reason      %s\n", p->why);
	} else {
		printf("flavour     %s\n", probe_driver(p));
		printf("vCPUs       up to %u\n", p->max_vcpus);
		if (p->lacks)
			printf("lacks       %s\n", p->lacks);
		for (unsigned i = 0; i < PROBE_TRIES && p->t[i].name; i++)
			printf("%-11s %s%s (%s)\n", p->t[i].name,
			       p->t[i].ok ? "works" : "fails: ", p->t[i].why, p->t[i].use);
	}
	printf("verdict     a stock kernel can%s run here\n", p->stock ? "" : "not");
	printf("to do       %s\n", probe_advice(p));
}

static void probe_print_json(const struct probe *p)
{
	struct json j = { .f = stdout };

	json_open(&j, NULL, '{');
	json_u64(&j, "version", PROBE_VERSION);
	json_str(&j, "kvm", probe_state(p));
	json_str(&j, "reason", p->why);
	json_str(&j, "flavour", p->err ? "none" : probe_driver(p));
	json_bool(&j, "svm", p->svm);
	json_bool(&j, "vmx", p->vmx);
	json_bool(&j, "virtual_machine", p->hypervisor);
	json_str(&j, "module", p->module);
	json_str(&j, "nested", p->nested);
	json_u64(&j, "max_vcpus", p->max_vcpus);
	json_str(&j, "lacks", p->lacks ? p->lacks : "");
	json_open(&j, "tries", '[');
	for (unsigned i = 0; i < PROBE_TRIES && p->t[i].name; i++) {
		json_open(&j, NULL, '{');
		json_str(&j, "instruction", p->t[i].name);
		json_bool(&j, "ok", p->t[i].ok);
		json_str(&j, "why", p->t[i].why);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_bool(&j, "stock_kernel", p->stock);
	json_str(&j, "to_do", probe_advice(p));
	json_close(&j, '}');
}

int probe_run(bool json)
{
	struct probe p = { 0 };

	probe_cpu(&p);
	probe_module(&p);
	probe_device(&p);
	probe_verdict(&p);
	if (json)
		probe_print_json(&p);
	else
		probe_print(&p);
	return p.stock ? EXIT_OK : EXIT_HOST;
}
