// SPDX-License-Identifier: MIT OR GPL-2.0-only
/*
 * /dev/vmclock0 for guests whose kernel has no driver for the clock page: Linux before 6.13. What
 * programs see is as with the kernel's own driver: read, mmap of one page that cannot be written, and
 * poll that wakes when the page has changed. There is no PTP clock.
 */

#include <linux/fs.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mod_devicetable.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/wait.h>

#include <uapi/linux/vmclock-abi.h>

/* How long an update of the host may take. */
#define UPDATE_LIMIT_MS 100

struct vmclock_page {
	struct miscdevice misc;
	wait_queue_head_t updated;
	phys_addr_t phys;
	/* Of the page as its host says it, at most what the device tree gives. */
	u32 size;
	struct vmclock_abi *abi;
	bool notifies;
};

/* What an open file remembers: the sequence count of what was read last. */
struct vmclock_reader {
	struct vmclock_page *page;
	u32 seen;
};

static u32 sequence(const struct vmclock_page *page)
{
	return le32_to_cpu(READ_ONCE(page->abi->seq_count));
}

static int reader_open(struct inode *inode, struct file *file)
{
	struct vmclock_reader *reader = kzalloc(sizeof(*reader), GFP_KERNEL);

	if (!reader)
		return -ENOMEM;
	reader->page = container_of(file->private_data, struct vmclock_page, misc);
	file->private_data = reader;
	return 0;
}

static int reader_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static ssize_t reader_read(struct file *file, char __user *to, size_t count, loff_t *at)
{
	struct vmclock_reader *reader = file->private_data;
	struct vmclock_page *page = reader->page;
	unsigned long deadline = jiffies + msecs_to_jiffies(UPDATE_LIMIT_MS);
	size_t end = min_t(size_t, page->size, PAGE_SIZE);
	u32 before;

	if (*at < 0 || *at >= end)
		return 0;
	count = min_t(size_t, count, end - *at);
	do {
		if (fatal_signal_pending(current) || time_after(jiffies, deadline))
			return -ETIMEDOUT;
		before = sequence(page) & ~1U;
		/* The count before the content, and the content before the count. */
		smp_rmb();
		if (copy_to_user(to, (char *)page->abi + *at, count))
			return -EFAULT;
		smp_rmb();
	} while (sequence(page) != before);
	reader->seen = before;
	*at += count;
	return count;
}

static __poll_t reader_poll(struct file *file, poll_table *wait)
{
	struct vmclock_reader *reader = file->private_data;

	if (!reader->page->notifies)
		return EPOLLHUP;
	poll_wait(file, &reader->page->updated, wait);
	return sequence(reader->page) != reader->seen ? EPOLLIN | EPOLLRDNORM : 0;
}

static int reader_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vmclock_reader *reader = file->private_data;
	struct vmclock_page *page = reader->page;

	if ((vma->vm_flags & (VM_READ | VM_WRITE)) != VM_READ)
		return -EROFS;
	if (vma->vm_end - vma->vm_start != PAGE_SIZE || vma->vm_pgoff || page->size < PAGE_SIZE)
		return -EINVAL;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_clear(vma, VM_MAYWRITE);
#else
	vma->vm_flags &= ~VM_MAYWRITE;
#endif
	return remap_pfn_range(vma, vma->vm_start, page->phys >> PAGE_SHIFT, PAGE_SIZE,
			       vma->vm_page_prot);
}

static const struct file_operations reader_operations = {
	.owner = THIS_MODULE,
	.open = reader_open,
	.release = reader_release,
	.read = reader_read,
	.poll = reader_poll,
	.mmap = reader_mmap,
};

static irqreturn_t page_updated(int irq, void *data)
{
	struct vmclock_page *page = data;

	wake_up_interruptible(&page->updated);
	return IRQ_HANDLED;
}

static void page_deregister(void *data)
{
	struct vmclock_page *page = data;

	misc_deregister(&page->misc);
}

static int page_check(struct device *dev, struct vmclock_page *page, resource_size_t room)
{
	if (le32_to_cpu(page->abi->magic) != VMCLOCK_MAGIC || le16_to_cpu(page->abi->version) != 1)
		return dev_err_probe(dev, -EINVAL, "no clock page\n");
	page->size = le32_to_cpu(page->abi->size);
	if (page->size < offsetof(struct vmclock_abi, pad) || page->size > room)
		return dev_err_probe(dev, -EINVAL, "a clock page of %u bytes\n", page->size);
	page->notifies = le64_to_cpu(page->abi->flags) & VMCLOCK_FLAG_NOTIFICATION_PRESENT;
	return 0;
}

static int page_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct resource *where = platform_get_resource(pdev, IORESOURCE_MEM, 0);
	struct vmclock_page *page = devm_kzalloc(dev, sizeof(*page), GFP_KERNEL);
	int ret;

	if (!page)
		return -ENOMEM;
	if (!where || resource_size(where) < sizeof(*page->abi))
		return -EINVAL;
	page->phys = where->start;
	init_waitqueue_head(&page->updated);
	page->abi = devm_memremap(dev, where->start, resource_size(where), MEMREMAP_WB);
	if (IS_ERR(page->abi))
		return PTR_ERR(page->abi);
	ret = page_check(dev, page, resource_size(where));
	if (ret)
		return ret;
	if (page->notifies) {
		ret = platform_get_irq(pdev, 0);
		if (ret < 0)
			return ret;
		ret = devm_request_irq(dev, ret, page_updated, 0, "vmclock", page);
		if (ret)
			return ret;
	}
	page->misc.minor = MISC_DYNAMIC_MINOR;
	page->misc.name = "vmclock0";
	page->misc.fops = &reader_operations;
	page->misc.parent = dev;
	ret = misc_register(&page->misc);
	return ret ? ret : devm_add_action_or_reset(dev, page_deregister, page);
}

static const struct of_device_id page_ids[] = {
	{ .compatible = "amazon,vmclock" },
	{}
};
MODULE_DEVICE_TABLE(of, page_ids);

static struct platform_driver page_driver = {
	.probe = page_probe,
	.driver = {
		.name = "vmclock_page",
		.of_match_table = page_ids,
		/* An open file needs the page: nothing takes it away. */
		.suppress_bind_attrs = true,
	},
};
module_platform_driver(page_driver);

MODULE_DESCRIPTION("The clock page of a virtual machine, for programs");
MODULE_LICENSE("Dual MIT/GPL");
