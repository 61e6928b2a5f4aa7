/// The programs of processes, and the lists of what may go.
extension ProcessNodes {
    /// The program that a process ran at a time.
    @inline(__always)
    func image(of at: UInt32, at time: UInt64) -> UInt32 {
        var image = nodes[Int(at)].image
        while image != Self.none {
            if images[Int(image)].since <= time { return image }
            let older = images[Int(image)].older
            if older == Self.none { return images[Int(image)].reachesBack ? image : Self.none }
            image = older
        }
        return Self.none
    }

    /// Adds a program where its time says. Takes over its references to texts. Needs room for one image.
    mutating func addImage(_ image: Image, to at: UInt32) {
        var newer = Self.none
        var older = nodes[Int(at)].image
        while older != Self.none, images[Int(older)].since > image.since {
            newer = older
            older = images[Int(older)].older
        }
        if older != Self.none, images[Int(older)].since == image.since {
            replaceImage(older, image)
            return
        }
        var image = image
        image.older = older
        let place: UInt32
        if firstFreeImage != Self.none {
            place = firstFreeImage
            firstFreeImage = images[Int(place)].older
            images[Int(place)] = image
        } else {
            place = UInt32(images.count)
            images.append(image)
        }
        imageCount += 1
        nodes[Int(at)].imageCount += 1
        if newer == Self.none { nodes[Int(at)].image = place } else { images[Int(newer)].older = place }
        if Int(nodes[Int(at)].imageCount) > imagesEach { dropOldestImage(of: at) }
    }

    /// Puts other content into an image; it stays where it is among the others.
    mutating func replaceImage(_ place: UInt32, _ image: Image) {
        var image = image
        image.older = images[Int(place)].older
        releaseTexts(images[Int(place)])
        images[Int(place)] = image
    }

    private mutating func dropOldestImage(of at: UInt32) {
        var newer = nodes[Int(at)].image
        guard newer != Self.none, images[Int(newer)].older != Self.none else { return }
        while images[Int(images[Int(newer)].older)].older != Self.none { newer = images[Int(newer)].older }
        let oldest = images[Int(newer)].older
        images[Int(newer)].older = Self.none
        // What ran before is known no more; it was not this.
        images[Int(newer)].reachesBack = false
        _ = releaseImage(oldest)
        nodes[Int(at)].imageCount -= 1
        losses.images += 1
    }

    /// Returns the image behind it.
    mutating func releaseImage(_ place: UInt32) -> UInt32 {
        let older = images[Int(place)].older
        releaseTexts(images[Int(place)])
        images[Int(place)] = Image(since: 0, name: ProcessName(), user: 0)
        images[Int(place)].older = firstFreeImage
        firstFreeImage = place
        imageCount -= 1
        return older
    }

    mutating func releaseTexts(_ image: Image) {
        texts.release(image.executable)
        texts.release(image.arguments)
        texts.release(image.interpreter)
    }

    /// The same program for another process, with references of its own.
    mutating func copyImage(_ place: UInt32, since: UInt64) -> Image {
        var image = images[Int(place)]
        texts.retain(image.executable)
        texts.retain(image.arguments)
        texts.retain(image.interpreter)
        image.since = since
        image.reachesBack = true
        return image
    }

    // MARK: Texts

    /// A path, for which processes without children have to go if memory is short.
    mutating func path(_ bytes: RawSpan) -> UInt32 {
        let bytes = bytes.extracting(first: 4096)
        let existing = texts.existing(bytes)
        guard existing == TextStore.none else { return existing }
        guard texts.couldHold(bytes.byteCount) else { return TextStore.none }
        while !texts.hasRoom(for: bytes.byteCount) {
            guard evictTombstone() || evictLeaf() else { return TextStore.none }
        }
        return texts.insert(bytes)
    }

    /// Arguments, which are left out before a living process has to go.
    mutating func arguments(_ bytes: RawSpan) -> UInt32 {
        let existing = texts.existing(bytes)
        guard existing == TextStore.none else { return existing }
        while !texts.hasSpareRoom(for: bytes.byteCount) {
            guard texts.couldHold(bytes.byteCount), evictTombstone() else {
                losses.arguments += 1
                return TextStore.none
            }
        }
        return texts.insert(bytes)
    }

    // MARK: What may go

    /// Puts a node at the end of the list in which it belongs. One that has just lost its last child may have ended
    /// before all others, and then is the next to go.
    mutating func list(_ at: UInt32, wasParent: Bool = false) {
        unlist(at)
        let node = nodes[Int(at)]
        guard node.children == 0 else { return }
        if node.isLiving {
            nodes[Int(at)].list = .leaves
            leaves.append(at, &nodes)
        } else if wasParent, tombstones.first != Self.none, node.end <= nodes[Int(tombstones.first)].end {
            nodes[Int(at)].list = .tombstones
            tombstones.prepend(at, &nodes)
        } else {
            nodes[Int(at)].list = .tombstones
            tombstones.append(at, &nodes)
        }
    }

    mutating func unlist(_ at: UInt32) {
        switch nodes[Int(at)].list {
        case .no: return
        case .leaves: leaves.unlink(at, &nodes)
        case .tombstones: tombstones.unlink(at, &nodes)
        }
        nodes[Int(at)].list = .no
    }
}
