"""The programs by which people and programs on this machine send mail: qmail-inject, sendmail and their kin.

They run as commands, when somebody calls them, and hand what they get to the queue's intake door with
the role `inject`; nothing of the appliance waits for them.  Exit status 0: the queue has it; 100: never; 111: try again.
"""
